// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package settle_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrorfiles"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// logger is a test or a draw of a property.
type logger interface {
	Helper()
	Fatal(args ...any)
}

// file has a reader read a text in YAML.
func file(t logger, text string, read func([]byte) (*mirrorfiles.Content, error)) *mirrorfiles.Content {
	t.Helper()
	data, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	content, err := read(data)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func k3sFile(t logger, text string, never bool) *mirrorfiles.Content {
	t.Helper()
	return file(t, text, func(data []byte) (*mirrorfiles.Content, error) { return mirrorfiles.K3s(data, never) })
}

// tables are those of a registries.conf, as the library of CRI-O and Podman reads it.
func tables(t *testing.T, text string) *mirrorfiles.Content {
	t.Helper()
	dir := t.TempDir()
	sys := &types.SystemContext{SystemRegistriesConfPath: filepath.Join(dir, "registries.conf"), SystemRegistriesConfDirPath: filepath.Join(dir, "none")}
	if err := os.WriteFile(sys.SystemRegistriesConfPath, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := sysregistriesv2.GetRegistries(sys)
	if err != nil {
		t.Fatal(err)
	}
	return mirrorfiles.Tables(all)
}

// rulesOf are those that the entries become in a set of each kind.
func rulesOf(content *mirrorfiles.Content) []mirrors.Rule {
	var in mirrors.Input
	for _, kind := range kinds.All {
		set := mirrors.Set{Object: mirrors.Object{Kind: &kind.Kind, Name: "a"}}
		for _, e := range content.Entries {
			if e.Mode == kind.Mode {
				set.Entries = append(set.Entries, e.SetEntry)
			}
		}
		in.Sets = append(in.Sets, set)
	}
	return mirrors.Merge(in).Rules
}

// places are those that an image comes from, in order.
func places(t logger, rules []mirrors.Rule, image string) []string {
	t.Helper()
	ref, err := mirrors.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, s := range mirrors.NewIndex(rules).Resolve(ref).PullSources {
		names = append(names, strings.TrimSuffix(s.Location, ref.Suffix))
	}
	return names
}
