// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs embeds the documents of this folder that the programs print.
package docs

import _ "embed"

// URL is the address of the documents.
const URL = "https://github.com/mirrorset/mirrorset/blob/main/docs/"

// Findings is reference/findings.md: a section for each reason of a finding.
//
//go:embed reference/findings.md
var Findings string
