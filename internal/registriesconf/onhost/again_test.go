// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package onhost_test

import (
	"path/filepath"
	"testing"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
)

// To try anything takes a temporary folder, without which the same is taken for tried and all else is refused.
func TestTheSameIsNotTriedAgain(t *testing.T) {
	for what, c := range map[string]struct {
		change func(root string)
		again  string // the source of the second try; "" for the same rules
		isSame bool
	}{
		"nothing":                   {func(string) {}, "", true},
		"other rules":               {func(string) {}, "other.com", false},
		"equal rules":               {func(string) {}, "example.com", false}, // which nobody compares one by one
		"another base file":         {func(root string) { sinktest.Write(t, root, "etc/containers/registries.conf", "# x") }, "", false},
		"another drop-in of others": {func(root string) { sinktest.Write(t, root, "etc/containers/registries.conf.d/a.conf", blocks("b.com")) }, "", false},
		"one more drop-in":          {func(root string) { sinktest.Write(t, root, "etc/containers/registries.conf.d/b.conf", "") }, "", false},
		"one that cannot be read": {func(root string) {
			sinktest.Symlink(t, "/nowhere", root, "etc/containers/registries.conf.d/c.conf")
		}, "", false},
		"our own": {func(root string) { sinktest.Write(t, root, onhost.Path, "x") }, "", true},
	} {
		t.Run(what, func(t *testing.T) {
			host, root := sinktest.NewHost(t, sinktest.Files{"etc/containers/registries.conf.d/a.conf": blocks("a.com")})
			tries, accepted := onhost.PreflightsOf(host), sinktest.Accepted(t, 1, "example.com")
			first, err := tries.Try(accepted.Rules, accepted.Text)
			if err != nil {
				t.Fatal(err)
			}
			if c.change(root); c.again != "" {
				accepted = sinktest.Accepted(t, 1, c.again)
			}
			t.Setenv("TMPDIR", filepath.Join(root, "none"))
			second, err := tries.Try(accepted.Rules, accepted.Text)
			if isSame := err == nil; isSame != c.isSame || isSame && string(second.Text) != string(first.Text) {
				t.Errorf("taken for the same: %t (error %v), want %t", isSame, err, c.isSame)
			}
		})
	}
}
