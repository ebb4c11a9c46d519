// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
)

// digest ends a reference by digest.
const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// in names an entry of an ImageDigestMirrorSet.
func in(object string, index int) mirrors.Entry {
	return mirrors.Entry{Object: mirrors.Object{Kind: &kinds.Digest.Kind, Name: object}, Index: index}
}

// merge merges sets in the notation of mirrorstest.
func merge(t *testing.T, text string, insecure ...string) mirrors.Result {
	t.Helper()
	sets, err := mirrorstest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	scopes, err := mirrors.ParseScopes(insecure)
	if err != nil {
		t.Fatal(err)
	}
	return kinds.Merge(sets, scopes)
}

// describe writes a rule as "source -> mirror, mirror [blocked]", without mirrors as "(none)".
func describe(rule *mirrors.Rule) string {
	text := string(rule.Source) + " -> (none)"
	if len(rule.Mirrors) > 0 {
		text = string(rule.Source) + " -> " + strings.Join(locations(rule), ", ")
	}
	if rule.Blocked {
		text += " [blocked]"
	}
	return text
}

func describeAll(rules []mirrors.Rule) []string {
	var all []string
	for i := range rules {
		all = append(all, describe(&rules[i]))
	}
	return all
}

func locations(rule *mirrors.Rule) []string {
	var all []string
	for _, m := range rule.Mirrors {
		all = append(all, string(m.Location))
	}
	return all
}

// label writes a finding as "Reason source object/index object/index".
func label(f mirrors.Finding) string {
	text := string(f.Reason) + " " + string(f.Source)
	for _, e := range f.Entries {
		text += fmt.Sprintf(" %s/%d", e.Name, e.Index)
	}
	return text
}

func labels(findings []mirrors.Finding) []string {
	var all []string
	for _, f := range findings {
		all = append(all, label(f))
	}
	return all
}

func expect(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got  %s\n want %s", what, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
	}
}

// resolve resolves an image, which may be written with @d for a digest.
func resolve(t *testing.T, rules []mirrors.Rule, image string) mirrors.Resolution {
	t.Helper()
	if name, ok := strings.CutSuffix(image, "@d"); ok {
		image = name + digest
	}
	ref, err := mirrors.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	return mirrors.NewIndex(rules).Resolve(ref)
}

// tried returns where an image is pulled from, digests written as @d.
func tried(t *testing.T, rules []mirrors.Rule, image string) []string {
	t.Helper()
	var all []string
	for _, s := range resolve(t, rules, image).PullSources {
		all = append(all, strings.Replace(s.Location, digest, "@d", 1))
	}
	return all
}
