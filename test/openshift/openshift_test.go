// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package openshift_test lays our merge beside the one of OpenShift's machine-config-operator, from the library that it
// merges with. Where the two differ, the rule of docs/semantics.md that wants it is named.
package openshift_test

import (
	"os"
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

// rule is what either makes of one source.
type rule struct {
	mirrors  []string
	insecure []string // the mirrors that are contacted without TLS checks
	blocked  bool
	open     bool // the source is contacted without TLS checks
}

// fatal is what failures are told to, a test or a draw of a property.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
}

// ours are the rules that we make of sets, by source.
func ours(t fatal, sets []kinds.Set, insecure []string) map[string]rule {
	t.Helper()
	scopes, err := mirrors.ParseScopes(insecure)
	if err != nil {
		t.Fatalf("%v", err)
	}
	rules := make(map[string]rule)
	for _, merged := range kinds.Merge(sets, scopes).Rules {
		r := rule{blocked: merged.Blocked, open: merged.Insecure}
		for _, mirror := range merged.Mirrors {
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
func theirs(t fatal, sets []kinds.Set, insecure []string) map[string]rule {
	t.Helper()
	var objects []*openshiftv1.ImageDigestMirrorSet
	for _, set := range sets {
		object := &openshiftv1.ImageDigestMirrorSet{}
		for _, entry := range set.Entries {
			same := openshiftv1.ImageDigestMirrors{Source: entry.Source, MirrorSourcePolicy: openshiftv1.MirrorSourcePolicy(entry.Policy)}
			for _, mirror := range entry.Mirrors {
				same.Mirrors = append(same.Mirrors, openshiftv1.ImageMirror(mirror))
			}
			object.Spec.ImageDigestMirrors = append(object.Spec.ImageDigestMirrors, same)
		}
		objects = append(objects, object)
	}
	var conf sysregistriesv2.V2RegistriesConf
	if err := registries.EditRegistriesConfig(&conf, insecure, nil, nil, objects, nil); err != nil {
		t.Fatalf("OpenShift's merge: %v", err)
	}
	rules := make(map[string]rule)
	for _, registry := range conf.Registries {
		r := rule{blocked: registry.Blocked, open: registry.Insecure}
		for _, mirror := range registry.Mirrors {
			r.mirrors = append(r.mirrors, mirror.Location)
			if mirror.Insecure {
				r.insecure = append(r.insecure, mirror.Location)
			}
		}
		rules[registry.Prefix+registry.Location] = r
	}
	return rules
}

// mirrorsOf are the mirrors of s.com that each makes of sets in the notation of mirrorstest.
func mirrorsOf(t *testing.T, text string) (our, their []string) {
	t.Helper()
	sets, err := mirrorstest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return ours(t, sets, nil)["s.com"].mirrors, theirs(t, sets, nil)["s.com"].mirrors
}

func TestTheTwoAgree(t *testing.T) {
	for text, want := range map[string][]string{
		"a: s.com -> a.com, b.com, c.com\nb: s.com -> c.com, d.com, e.com": {"a.com", "b.com", "c.com", "d.com", "e.com"}, // M1
		"a: s.com -> b.com, c.com\nb: s.com -> a.com, b.com":               {"a.com", "b.com", "c.com"},
		"a: s.com -> a.com, s.com, b.com":                                  {"a.com", "s.com", "b.com"}, // M4
		"a: s.com -> a.com, b.com, s.com":                                  {"a.com", "b.com"},
	} {
		our, their := mirrorsOf(t, text)
		if !slices.Equal(our, want) || !slices.Equal(their, want) {
			t.Errorf("%s: ours %v, theirs %v, want %v", text, our, their, want)
		}
	}
}

// TestWhereTheTwoDiffer reads the examples of docs/semantics.md section 7.
func TestWhereTheTwoDiffer(t *testing.T) {
	data, err := os.ReadFile("../../docs/semantics.md")
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
		our, their := mirrorsOf(t, strings.ReplaceAll(cells[1], "; ", "\n"))
		if !slices.Equal(our, list(cells[2])) || !slices.Equal(their, list(cells[3])) {
			t.Errorf("%s\n ours   %v\n theirs %v", line, our, their)
		}
		rules[cells[0]] = true
	}
	if len(rules) != 4 {
		t.Errorf("docs/semantics.md section 7 has examples of %v", rules)
	}
}

func TestAnEntryWithoutMirrorsIsOursOnly(t *testing.T) {
	sets, err := mirrorstest.Parse("a: s.com -> m.com\na: s.com/x -> (none)\na: s.com/y -> s.com/y [Never]")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"s.com/x", "s.com/y"} { // E5, E2
		if got, is := ours(t, sets, nil)[source]; !is || len(got.mirrors) > 0 || got.blocked {
			t.Errorf("%s, ours: got %+v, want a rule without mirrors", source, got)
		}
		if got, is := theirs(t, sets, nil)[source]; is {
			t.Errorf("%s, theirs: got %+v, want nothing", source, got)
		}
	}
}
