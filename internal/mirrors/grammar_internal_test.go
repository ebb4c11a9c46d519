// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"strings"
	"testing"

	"go.podman.io/image/v5/docker/reference"
	"pgregory.net/rapid"

	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// drawLocation draws a location that follows the grammar, often one that the runtimes treat specially.
func drawLocation(t *rapid.T) string {
	host := rapid.OneOf(
		rapid.SampledFrom([]string{"docker.io", "index.docker.io", "localhost", "foo", "Foo", "foo:5000", "a.b", "A.b"}),
		rapid.StringMatching(`[a-zA-Z0-9]([a-zA-Z0-9-]{0,3}[a-zA-Z0-9])?(\.[a-z0-9]{1,3}){0,2}(:[0-9]{1,5})?`),
	).Draw(t, "host")
	path := rapid.OneOf(
		rapid.SampledFrom([]string{"", "/x", "/library", "/x/y", "/" + strings.Repeat("x", 240), "/" + strings.Repeat("x", 253)}),
		rapid.StringMatching(`(/[a-z0-9]{1,3}(([._]|__|-{1,3})[a-z0-9]{1,3}){0,2}){0,3}`),
	).Draw(t, "path")
	return host + path
}

func TestANameIsCanonicalWhereTheRuntimesTakeItAsItIs(t *testing.T) {
	const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	rapid.Check(t, func(t *rapid.T) {
		name := drawLocation(t)
		if !value.Mirror.Takes(name) {
			t.Fatalf("%s is outside the grammar", name)
		}
		_, err := reference.ParseNamed(name + digest)
		if got := isCanonical(Scope(name)); got != (err == nil) {
			t.Errorf("isCanonical(%q) is %v; the runtimes say %v", name, got, err)
		}
	})
}

func TestAMirrorPoisonsOnlyWhereNoReferenceCanBeRewritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mirror := Scope(drawLocation(t))
		belowHost := isCanonical(mirror+"/x") || isCanonical(mirror+"/x/x")
		if poisoned := poisons("s.com", mirror) != ""; poisoned == belowHost {
			t.Errorf("for a host, poisons(%q) is %v, but some reference can be rewritten: %v", mirror, poisoned, belowHost)
		}
		ofRepository := isCanonical(mirror) || belowHost
		if poisoned := poisons("s.com/r", mirror) != ""; poisoned == ofRepository {
			t.Errorf("for a repository, poisons(%q) is %v, but some reference can be rewritten: %v", mirror, poisoned, ofRepository)
		}
	})
}
