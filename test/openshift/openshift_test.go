// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package openshift_test compares our merge with the one of OpenShift's machine-config-operator, from the library that it
// merges with. Where the two differ, the test names the rule of docs/reference/semantics.md that requires it.
package openshift_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containers/image/v5/pkg/sysregistriesv2"
	openshiftv1 "github.com/openshift/api/config/v1"
	"github.com/openshift/runtime-utils/pkg/registries"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
)

// rule is what either makes of one source, for references of one mode.
type rule struct {
	mirrors  []string
	insecure []string // the mirrors that are contacted without TLS checks
	blocked  bool
	open     bool // the source is contacted without TLS checks
}

// modes are how OpenShift's library calls what mirrors are for.
var modes = map[mirrors.Mode]string{mirrors.ByDigest: sysregistriesv2.MirrorByDigestOnly, mirrors.ByTag: sysregistriesv2.MirrorByTagOnly}

// fatal receives failures: a test, or a draw of a property.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
}

// ours are the rules that we make of sets for a mode, by source.
func ours(t fatal, sets []kinds.Set, insecure []string, mode mirrors.Mode) map[string]rule {
	t.Helper()
	scopes, err := mirrors.ParseScopes(insecure)
	if err != nil {
		t.Fatalf("%v", err)
	}
	rules := make(map[string]rule)
	for _, merged := range kinds.Merge(sets, scopes).Rules {
		r := rule{blocked: merged.Blocked, open: merged.Insecure}
		for _, mirror := range merged.MirrorsFor(mode) {
			r.mirrors = append(r.mirrors, string(mirror.Location))
			if mirror.Insecure {
				r.insecure = append(r.insecure, string(mirror.Location))
			}
		}
		rules[string(merged.Source)] = r
	}
	return rules
}

// theirs are those that OpenShift makes of them.
func theirs(t fatal, sets []kinds.Set, insecure []string, mode mirrors.Mode) map[string]rule {
	t.Helper()
	digests, tags := objectsOf(sets)
	var conf sysregistriesv2.V2RegistriesConf
	if err := registries.EditRegistriesConfig(&conf, insecure, nil, nil, digests, tags); err != nil {
		t.Fatalf("OpenShift's merge: %v", err)
	}
	rules := make(map[string]rule)
	for _, registry := range conf.Registries {
		r := rule{blocked: registry.Blocked, open: registry.Insecure}
		for _, mirror := range registry.Mirrors {
			if mirror.PullFromMirror != modes[mode] {
				continue
			}
			r.mirrors = append(r.mirrors, mirror.Location)
			if mirror.Insecure {
				r.insecure = append(r.insecure, mirror.Location)
			}
		}
		rules[registry.Prefix+registry.Location] = r
	}
	return rules
}

// objectsOf are sets as OpenShift has them.
func objectsOf(sets []kinds.Set) (digests []*openshiftv1.ImageDigestMirrorSet, tags []*openshiftv1.ImageTagMirrorSet) {
	for _, set := range sets {
		var entries []openshiftv1.ImageDigestMirrors
		for _, entry := range set.Entries {
			same := openshiftv1.ImageDigestMirrors{Source: entry.Source, MirrorSourcePolicy: openshiftv1.MirrorSourcePolicy(entry.Policy)}
			for _, mirror := range entry.Mirrors {
				same.Mirrors = append(same.Mirrors, openshiftv1.ImageMirror(mirror))
			}
			entries = append(entries, same)
		}
		if set.Kind == kinds.Digest {
			digests = append(digests, &openshiftv1.ImageDigestMirrorSet{Spec: openshiftv1.ImageDigestMirrorSetSpec{ImageDigestMirrors: entries}})
			continue
		}
		object := &openshiftv1.ImageTagMirrorSet{}
		for _, entry := range entries {
			object.Spec.ImageTagMirrors = append(object.Spec.ImageTagMirrors, openshiftv1.ImageTagMirrors(entry))
		}
		tags = append(tags, object)
	}
	return digests, tags
}

func parse(t *testing.T, text string) []kinds.Set {
	t.Helper()
	sets, err := mirrorstest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return sets
}

// mirrorsOf are the mirrors of s.com that each makes of sets in the notation of mirrorstest, for a mode.
func mirrorsOf(t *testing.T, text string, mode mirrors.Mode) (our, their []string) {
	t.Helper()
	sets := parse(t, text)
	return ours(t, sets, nil, mode)["s.com"].mirrors, theirs(t, sets, nil, mode)["s.com"].mirrors
}

func TestTheTwoAgree(t *testing.T) {
	for text, want := range map[string][]string{
		"a: s.com -> a.com, b.com, c.com\nb: s.com -> c.com, d.com, e.com": {"a.com", "b.com", "c.com", "d.com", "e.com"}, // M1
		"a: s.com -> b.com, c.com\nb: s.com -> a.com, b.com":               {"a.com", "b.com", "c.com"},
		"a: s.com -> a.com, s.com, b.com":                                  {"a.com", "s.com", "b.com"}, // M4
		"a: s.com -> a.com, b.com, s.com":                                  {"a.com", "b.com"},
	} {
		for mode, as := range map[mirrors.Mode]string{mirrors.ByDigest: text, mirrors.ByTag: "T " + strings.ReplaceAll(text, "\n", "\nT ")} {
			our, their := mirrorsOf(t, as, mode)
			if !slices.Equal(our, want) || !slices.Equal(their, want) {
				t.Errorf("%s: ours %v, theirs %v, want %v", as, our, their, want)
			}
		}
	}
}

func TestTheTwoKeepTheKindsApart(t *testing.T) { // T2, T5
	for text, want := range map[string]map[mirrors.Mode]rule{
		"D a: s.com -> d.com\nT a: s.com -> t.com":                        {mirrors.ByDigest: {mirrors: []string{"d.com"}}, mirrors.ByTag: {mirrors: []string{"t.com"}}},
		"D a: s.com -> d.com, e.com\nT a: s.com -> e.com, d.com":          {mirrors.ByDigest: {mirrors: []string{"d.com", "e.com"}}, mirrors.ByTag: {mirrors: []string{"e.com", "d.com"}}},
		"D a: s.com -> d.com\nT a: s.com -> d.com":                        {mirrors.ByDigest: {mirrors: []string{"d.com"}}, mirrors.ByTag: {mirrors: []string{"d.com"}}},
		"D a: s.com -> d.com [Never]\nT a: s.com -> t.com":                {mirrors.ByDigest: {mirrors: []string{"d.com"}, blocked: true}, mirrors.ByTag: {mirrors: []string{"t.com"}, blocked: true}},
		"D a: s.com -> d.com [Allow]\nT a: s.com -> t.com, d.com [Never]": {mirrors.ByDigest: {mirrors: []string{"d.com"}, blocked: true}, mirrors.ByTag: {mirrors: []string{"t.com", "d.com"}, blocked: true}},
		"T a: s.com -> t.com [Never]":                                     {mirrors.ByDigest: {blocked: true}, mirrors.ByTag: {mirrors: []string{"t.com"}, blocked: true}},
	} {
		for mode, want := range want {
			our, their := ours(t, parse(t, text), nil, mode)["s.com"], theirs(t, parse(t, text), nil, mode)["s.com"]
			if !reflect.DeepEqual(our, want) || !reflect.DeepEqual(their, want) {
				t.Errorf("%s, %s: ours %+v, theirs %+v, want %+v", text, modes[mode], our, their, want)
			}
		}
	}
}

// The examples of docs/reference/semantics.md section 7 for what only we do (T4).
func TestInheritanceIsOursOnly(t *testing.T) {
	for _, c := range []struct {
		text       string
		mode       mirrors.Mode
		our, their rule
	}{
		{"D a: s.com/a -> d.com/a\nT b: s.com -> t.com", mirrors.ByTag, rule{mirrors: []string{"t.com/a"}}, rule{}},
		{"D a: s.com/a -> d.com/a\nT b: s.com -> t.com [Never]", mirrors.ByTag, rule{mirrors: []string{"t.com/a"}, blocked: true}, rule{}},
		{"T a: s.com/a -> t.com/a\nD b: s.com -> d.com [Never]", mirrors.ByDigest, rule{mirrors: []string{"d.com/a"}, blocked: true}, rule{}},
		{"T a: s.com/a -> t.com/a\nD b: s.com -> d.com [Never]", mirrors.ByTag, rule{mirrors: []string{"t.com/a"}, blocked: true}, rule{mirrors: []string{"t.com/a"}}},
	} {
		our, their := ours(t, parse(t, c.text), nil, c.mode)["s.com/a"], theirs(t, parse(t, c.text), nil, c.mode)["s.com/a"]
		if !reflect.DeepEqual(our, c.our) || !reflect.DeepEqual(their, c.their) {
			t.Errorf("%s, %s: ours %+v, theirs %+v", c.text, modes[c.mode], our, their)
		}
	}
}

// TestWhereTheTwoDiffer reads the examples of docs/reference/semantics.md section 7.
func TestWhereTheTwoDiffer(t *testing.T) {
	data, err := os.ReadFile("../../docs/reference/semantics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(data), "## 7. ")
	list := func(cell string) []string {
		names, _, _ := strings.Cut(cell, " (")
		return strings.Split(names, ", ")
	}
	rules := map[string]bool{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if len(cells) != 4 || cells[0] == "rule" {
			continue
		}
		our, their := mirrorsOf(t, strings.ReplaceAll(cells[1], "; ", "\n"), mirrors.ByDigest)
		if !slices.Equal(our, list(cells[2])) || !slices.Equal(their, list(cells[3])) {
			t.Errorf("%s\n ours   %v\n theirs %v", line, our, their)
		}
		rules[cells[0]] = true
	}
	if len(rules) != 4 {
		t.Errorf("docs/reference/semantics.md section 7 has examples of %v", rules)
	}
}

func TestAnEntryWithoutMirrorsIsOursOnly(t *testing.T) {
	const digests = "a: s.com -> m.com\na: s.com/x -> (none)\na: s.com/y -> s.com/y [Never]"
	for mode, text := range map[mirrors.Mode]string{mirrors.ByDigest: digests, mirrors.ByTag: "T " + strings.ReplaceAll(digests, "\n", "\nT ")} {
		for _, source := range []string{"s.com/x", "s.com/y"} { // E5, E2
			if got, is := ours(t, parse(t, text), nil, mode)[source]; !is || len(got.mirrors) > 0 || got.blocked {
				t.Errorf("%s, ours: got %+v, want a rule without mirrors", source, got)
			}
			if got, is := theirs(t, parse(t, text), nil, mode)[source]; is {
				t.Errorf("%s, theirs: got %+v, want nothing", source, got)
			}
		}
	}
}
