// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"strings"
	"testing"

	"go.podman.io/image/v5/docker/reference"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

func TestParseReferenceGivesTheCanonicalForm(t *testing.T) {
	for image, want := range map[string]mirrors.Reference{
		"alpine":                   {Name: "docker.io/library/alpine", Suffix: ":latest", Mode: mirrors.ByTag},
		"alpine:3":                 {Name: "docker.io/library/alpine", Suffix: ":3", Mode: mirrors.ByTag},
		"user/app" + digest:        {Name: "docker.io/user/app", Suffix: digest, Mode: mirrors.ByDigest},
		"user/app:1" + digest:      {Name: "docker.io/user/app", Suffix: digest, Mode: mirrors.ByDigest},
		"s.com:5000/a/b_c:1":       {Name: "s.com:5000/a/b_c", Suffix: ":1", Mode: mirrors.ByTag},
		"localhost/x":              {Name: "localhost/x", Suffix: ":latest", Mode: mirrors.ByTag},
		"registry-1.docker.io/x/y": {Name: "registry-1.docker.io/x/y", Suffix: ":latest", Mode: mirrors.ByTag},
	} {
		got, err := mirrors.ParseReference(image)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, error %v, want %+v", image, got, err, want)
		}
	}
}

func TestParseReferenceRefusesWhatTheRuntimesRefuse(t *testing.T) {
	for _, image := range []string{"", "s.com/", "s.com/X", "s.com/x@sha256:12", "https://s.com/x", "s.com/x:", strings.Repeat("a", 64), "s.com/" + strings.Repeat("x", 260)} {
		if got, err := mirrors.ParseReference(image); err == nil {
			t.Errorf("%q: got %+v, want an error", image, got)
		} else if len(err.Error()) > 300 {
			t.Errorf("%q: the error has %d characters", image, len(err.Error()))
		}
	}
}

func FuzzParseReference(f *testing.F) {
	for _, image := range []string{"alpine", "docker.io/alpine:3", "index.docker.io/a/b", "s.com:5000/x" + digest, "s.com/x:1" + digest, "Foo/x", "localhost/x", "[::1]:5000/x", "\n"} {
		f.Add(image)
	}
	f.Fuzz(func(t *testing.T, image string) {
		ref, err := mirrors.ParseReference(image)
		if err != nil {
			return
		}
		again, err := mirrors.ParseReference(ref.String())
		if err != nil || again != ref {
			t.Errorf("%q reads as %+v, which reads as %+v, error %v", image, ref, again, err)
		}
		named, err := reference.ParseNamed(ref.String())
		if err != nil || named.Name() != ref.Name {
			t.Errorf("%q reads as %+v, which the runtimes do not take: %v", image, ref, err)
		}
	})
}
