// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version says which build a program is.
package version

import "fmt"

// Version and Commit are set by the linker (see the Makefile).
var (
	Version = "v0.0.0-dev"
	Commit  = "unknown"
)

// String returns both, as --version prints them.
func String() string {
	return fmt.Sprintf("%s (commit %s)", Version, Commit)
}
