// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

func TestNoHostCanBeBelowTheDomainInvalid(t *testing.T) { // RFC 6761
	for scope, want := range map[mirrors.Scope]bool{
		"blocked.invalid":             true,
		"blocked.invalid/library":     true,
		"blocked.invalid:5000/x":      true,
		"a.b.INVALID":                 true,
		"invalid:5000":                true,
		"*.invalid":                   true,
		"invalid.example":             false,
		"notinvalid":                  false,
		"blocked.notinvalid":          false,
		"registry.example/x.invalid":  false,
		"registry.example:5000":       false,
		"registry.example/a/.invalid": false,
	} {
		if got := scope.CannotExist(); got != want {
			t.Errorf("%s: %t, want %t", scope, got, want)
		}
	}
}
