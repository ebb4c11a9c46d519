// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package config has those manifests of this folder that the manager applies by itself (docs/adr/0015).
package config

import "embed"

// CRDs are the APIs of Mirrorset.
//
//go:embed crd/bases/*.yaml
var CRDs embed.FS

// Policies are what the API server sees to for Mirrorset.
//
//go:embed admission/agent_guard.yaml admission/set_warnings.yaml
var Policies embed.FS

// ForOLM are CRDs of OpenShift, without any schema, that OLM looks for once it finds the group that sets are in.
//
//go:embed olm/*.yaml
var ForOLM embed.FS
