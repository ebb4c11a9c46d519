// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles_test

import (
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrorfiles"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// logger is what failures are told to, a test or a draw of a property.
type logger interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// toJSON is how the readers get a YAML file.
func toJSON(t logger, text string) []byte {
	t.Helper()
	data, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return data
}

// merged are the rules that the entries become in a set of each kind.
func merged(content *mirrorfiles.Content) mirrors.Result {
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
	return mirrors.Merge(in)
}

// places are those that an image comes from by the rules, in order.
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

// sources are those that have an entry.
func sources(content *mirrorfiles.Content) []string {
	var all []string
	for _, e := range content.Entries {
		all = append(all, e.Source)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// says checks that one of the texts has all the parts.
func says(t *testing.T, texts []string, parts ...string) {
	t.Helper()
	if !slices.ContainsFunc(texts, func(text string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
	}) {
		t.Errorf("no text has all of %q:\n%s", parts, strings.Join(texts, "\n"))
	}
}
