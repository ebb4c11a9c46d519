// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package openshift_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containers/image/v5/docker/reference"
	"github.com/containers/image/v5/pkg/sysregistriesv2"
	"github.com/containers/image/v5/types"
	"pgregory.net/rapid"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// place is a pull source, with "!" where it is contacted without TLS checks.
func place(location string, insecure bool) string {
	if insecure {
		return location + "!"
	}
	return location
}

// pulled are the places that the reader tries, in order; "fails" where one mirror makes the whole pull fail.
func pulled(t fatal, system *types.SystemContext, ref string) string {
	t.Helper()
	find := func(named reference.Named) *sysregistriesv2.Registry {
		registry, err := sysregistriesv2.FindRegistry(system, named.Name())
		if err != nil {
			t.Fatalf("%v", err)
		}
		return registry
	}
	named, err := reference.ParseNamed(ref)
	if err != nil {
		t.Fatalf("%v", err)
	}
	registry := find(named)
	if registry == nil {
		return ref
	}
	sources, err := registry.PullSourcesFromReference(named)
	if err != nil {
		return "fails"
	}
	var tried []string
	for _, source := range sources {
		if of := find(source.Reference); of == nil || !of.Blocked {
			tried = append(tried, place(source.Reference.String(), source.Endpoint.Insecure))
		}
	}
	return strings.Join(tried, " ")
}

// said is the same, as we say that readers do.
func said(index *mirrors.Index, ref string) string {
	parsed, err := mirrors.ParseReference(ref)
	if err != nil {
		return err.Error()
	}
	resolved := index.ResolveByReaders(parsed)
	if resolved.Fails != "" {
		return "fails"
	}
	var tried []string
	for _, source := range resolved.PullSources {
		tried = append(tried, place(source.Location, source.Insecure))
	}
	return strings.Join(tried, " ")
}

// TestTheOldestReaderPullsFromWhereTheNewestDoes is Q6: OpenShift's library brings version 5.22 of the readers' library.
func TestTheOldestReaderPullsFromWhereTheNewestDoes(t *testing.T) {
	dir := t.TempDir()
	system := &types.SystemContext{SystemRegistriesConfPath: filepath.Join(dir, "registries.conf"), SystemRegistriesConfDirPath: filepath.Join(dir, "none")}
	rapid.Check(t, func(t *rapid.T) {
		scopes, err := mirrors.ParseScopes(rapid.SliceOfNDistinct(drawScope, 0, 2, rapid.ID[string]).Draw(t, "insecure"))
		if err != nil {
			t.Fatal(err)
		}
		rules := kinds.Merge(drawSets(t), scopes).Rules
		text, err := registriesconf.Encode(rules)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(system.SystemRegistriesConfPath, text, 0o600); err != nil {
			t.Fatal(err)
		}
		sysregistriesv2.InvalidateCache()
		if _, err := sysregistriesv2.TryUpdatingCache(system); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		index := mirrors.NewIndex(rules)
		for _, name := range []string{"s.com/x", "s.com/x/y", "s.com/z", "s.com:5000/x", "a.s.com/x", "b.s.com/x/y", "other.com/x"} {
			for _, suffix := range []string{digest, ":1"} {
				if got, want := pulled(t, system, name+suffix), said(index, name+suffix); got != want {
					t.Fatalf("%s:\n reads %s\n said  %s\n%s", name+suffix, got, want, text)
				}
			}
		}
	})
}
