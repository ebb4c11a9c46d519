// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs has those documents of this folder that the programs print from.
package docs

import _ "embed"

// URL is where the documents are to be read.
const URL = "https://github.com/mirrorset/mirrorset/blob/main/docs/"

// Findings is reference/findings.md: a section for each reason of a finding.
//
//go:embed reference/findings.md
var Findings string
