// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
)

// annotated merges sets of which some call mirrors insecure, by the sets' names.
func annotated(t *testing.T, text string, insecure map[string]string, flag ...string) mirrors.Result {
	t.Helper()
	sets, err := mirrorstest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range insecure {
		mirrorstest.Annotate(sets, name, value)
	}
	scopes, err := mirrors.ParseScopes(flag)
	if err != nil {
		t.Fatal(err)
	}
	return kinds.Merge(sets, scopes)
}

// insecureIn writes what is insecure, as "source -> mirror, mirror; source", with ! behind a source that is.
func insecureIn(rules []mirrors.Rule) string {
	var all []string
	for _, rule := range rules {
		var places []string
		for _, m := range rule.Mirrors {
			if m.Insecure {
				places = append(places, string(m.Location))
			}
		}
		source := string(rule.Source)
		if rule.Insecure {
			source += "!"
		}
		if rule.Insecure || len(places) > 0 {
			all = append(all, strings.TrimSuffix(source+" -> "+strings.Join(places, ", "), " -> "))
		}
	}
	return strings.Join(all, "; ")
}

func TestASetMakesMirrorsOfItsOwnInsecure(t *testing.T) { // I1, I2
	for _, c := range []struct {
		name, sets string
		insecure   map[string]string
		flag       []string
		want       string
	}{
		{"none", "a: s.com -> m.com", nil, nil, ""},
		{"by the annotation", "a: s.com -> m.com, n.com", map[string]string{"a": "m.com"}, nil, "s.com -> m.com"},
		{"several, in every form", "a: s.com -> m.com, n.com:5000/x, y.o.com, p.com", map[string]string{"a": " m.com ,n.com:5000/x\n*.o.com,,\n"}, nil, "s.com -> m.com, n.com:5000/x, y.o.com"},
		{"a scope that contains the mirror", "a: s.com -> m.com/x, m.com/y", map[string]string{"a": "m.com/x"}, nil, "s.com -> m.com/x"},
		{"a scope below the mirror", "a: s.com -> m.com", map[string]string{"a": "m.com/x"}, nil, ""},
		{"another port", "a: s.com -> m.com:5000", map[string]string{"a": "m.com"}, nil, ""},
		{"the source is none", "a: s.com -> m.com", map[string]string{"a": "s.com, m.com"}, nil, "s.com -> m.com"},
		{"the source among its mirrors is none", "a: s.com -> m.com, s.com, n.com", map[string]string{"a": "s.com, n.com"}, nil, "s.com -> n.com"},
		{"a source that is a mirror of another", "a: s.com -> m.com\na: m.com -> n.com", map[string]string{"a": "m.com"}, nil, "s.com -> m.com"},
		{"mirrors of other sets stay", "a: s.com -> m.com\nb: t.com -> m.com", map[string]string{"a": "m.com"}, nil, "s.com -> m.com"},
		{"a mirror that two sets name", "a: s.com -> m.com\nb: s.com -> m.com, n.com", map[string]string{"a": "m.com, n.com"}, nil, "s.com -> m.com"},
		{"for digests and tags alike", "a: s.com -> m.com\nT b: s.com -> m.com", map[string]string{"b": "m.com"}, nil, "s.com -> m.com"},
		{"for digests and tags in lists that differ", "a: s.com -> m.com, n.com\nT b: s.com -> m.com", map[string]string{"a": "m.com"}, nil, "s.com -> m.com, m.com"},
		{"inherited", "a: s.com -> m.com\nT b: s.com/x -> t.com/x", map[string]string{"a": "m.com"}, nil, "s.com -> m.com; s.com/x -> m.com/x"},
		{"inherited by what the other kind says", "a: s.com -> m.com\nT b: s.com -> m.com, n.com\na: s.com/x -> d.com/x", map[string]string{"a": "m.com"}, nil, "s.com -> m.com, m.com; s.com/x -> m.com/x"},
		{"inherited one by one", "a: s.com -> m.com, s.com, n.com\nT b: s.com/x -> t.com/x", map[string]string{"a": "m.com, s.com"}, nil, "s.com -> m.com; s.com/x -> m.com/x"},
		{"inherited beside one's own of the other kind", "a: s.com -> m.com\nT b: s.com/x -> m.com/x", map[string]string{"b": "m.com"}, nil, "s.com/x -> m.com/x"},
		{"inherited for tags beside one's own for digests", "T a: s.com -> m.com\nb: s.com/x -> m.com/x", map[string]string{"a": "m.com"}, nil, "s.com -> m.com; s.com/x -> m.com/x"},
		{"beside the flag", "a: s.com -> m.com, n.com", map[string]string{"a": "n.com"}, []string{"m.com", "s.com"}, "s.com! -> m.com, n.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result := annotated(t, c.sets, c.insecure, c.flag...)
			if got := insecureIn(result.Rules); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			for i := range result.Rules {
				if err := result.Rules[i].Validate(); err != nil {
					t.Error(err)
				}
			}
			elsewhere := slices.Contains([]string{"a scope below the mirror", "another port", "the source is none", "a mirror that two sets name"}, c.name)
			for _, f := range result.Findings {
				if f.Reason == mirrors.InvalidInsecureMirrors && !elsewhere {
					t.Errorf("found %s", f.Message)
				}
			}
		})
	}
}

func TestABadValueOfTheAnnotationIsLeftOutAndTheOthersStay(t *testing.T) { // I3
	for value, want := range map[string]string{
		"https://m.com, n.com":                `annotation mirrorset.io/insecure-mirrors: "https://m.com" is ignored: `,
		"n.com\n\"m.com\"":                    `annotation mirrorset.io/insecure-mirrors: "\"m.com\"" is ignored: `,
		"n.com m.com, n.com":                  `"n.com m.com" is ignored: `,
		"true, n.com":                         `"true" is ignored: no mirror of this set is there; write the value exactly as the set writes the mirror, with its port`,
		"M.com, n.com":                        `"M.com" is ignored: no mirror`,
		"m.com:500, n.com":                    `"m.com:500" is ignored: no mirror`,
		"A_,B_,C_,D_,E_,n.com,F_,G_,H_":       "; 3 more are ignored; separate the values with commas",
		strings.Repeat("x_,", 9000) + "n.com": "; 8995 more are ignored; ",
	} {
		result := annotated(t, "a: s.com -> m.com, n.com\na: t.com -> m.com", map[string]string{"a": value})
		if got := insecureIn(result.Rules); got != "s.com -> n.com" {
			t.Errorf("%.40q: %q is insecure", value, got)
		}
		if len(result.Findings) != 1 {
			t.Fatalf("%.40q: found %v", value, result.Findings)
		}
		f := result.Findings[0]
		if f.Reason != mirrors.InvalidInsecureMirrors || f.Class() != mirrors.LeftOut || !strings.Contains(f.Message, want) || len(f.Message) > 2000 || mirrors.Names(f.Entries) != "a" || f.Path() != "metadata.annotations" {
			t.Errorf("%.40q: found %s of %s at %s: %s", value, f.Reason, mirrors.Names(f.Entries), f.Path(), f.Message)
		}
	}
}
