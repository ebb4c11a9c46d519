// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/test/conformance"
)

const someDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// TestEachRuntimeIsAnsweredForAsItPulls holds explain --runtime to the cases by which the runtimes themselves are tested.
func TestEachRuntimeIsAnsweredForAsItPulls(t *testing.T) {
	cases, err := conformance.Load()
	if err != nil || len(cases) == 0 {
		t.Fatal(cases, err)
	}
	for _, c := range cases {
		for _, r := range []struct {
			name      string
			deviation *conformance.Deviation
		}{{"", nil}, {CRIO, c.CRIO}, {Containerd, c.Containerd}} {
			t.Run(c.Name+"/"+r.name, func(t *testing.T) {
				want := conformance.Deviation{Pull: c.Pull}
				if r.deviation != nil {
					want = *r.deviation
				}
				ref, found := answerCase(t, &c, r.name)
				if got := places(t, ref, found.PullSources); !slices.Equal(got, want.Pull) || (found.Fails != "") != want.Fails {
					t.Errorf("%s\ngot  %q, fails: %q\nwant %q, fails: %v", c.Description, got, found.Fails, want.Pull, want.Fails)
				}
				if got := places(t, ref, found.Content); r.name == Containerd && c.Content != nil && !slices.Equal(got, c.Content) {
					t.Errorf("%s\ncontent %q\nwant    %q", c.Description, got, c.Content)
				}
			})
		}
	}
}

func answerCase(t *testing.T, c *conformance.Case, runtime string) (mirrors.Reference, Answer) {
	t.Helper()
	sets, err := mirrorstest.Parse(c.Sets)
	if err != nil {
		t.Fatal(err)
	}
	insecure, err := mirrors.ParseScopes(c.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := mirrors.ParseReference(c.Reference(someDigest))
	if err != nil {
		t.Fatal(err)
	}
	rules := kinds.Merge(sets, insecure).Rules
	return ref, New(rules, runtime, certsd.Node{Redirector: RedirectorAddress(DefaultRedirectorPort), AllowDefaultHost: true}).Answer(ref)
}

// places returns the repositories of pull sources.
func places(t *testing.T, ref mirrors.Reference, sources []mirrors.PullSource) []string {
	t.Helper()
	var all []string
	for _, s := range sources {
		all = append(all, strings.TrimSuffix(s.Location, ref.Suffix))
	}
	return all
}

// T10: the one of them where a tag was found is asked for what the tag names.
func TestATagCanBeFoundAtItsMirrors(t *testing.T) {
	for _, tt := range []struct{ name, sets, image, content, mirrors string }{
		{"tag mirrors alone", "T a: s.com -> m.net/s", "s.com/x:1", "s.com/x", "m.net/s/x"},
		{"beside digest mirrors", "D a: s.com -> d.net\nT a: s.com -> t.net, u.net", "s.com/x:1", "d.net/x s.com/x", "t.net/x u.net/x"},
		{"of a blocked source", "D a: s.com -> d.net [Never]\nT a: s.com -> t.net", "s.com/x:1", "d.net/x", "t.net/x"},
		{"of a blocked source, alone", "T a: s.com -> t.net [Never]", "s.com/x:1", "", "t.net/x"},
		{"none of a blocked source", "D a: s.com -> d.net [Never]", "s.com/x:1", "", ""},
		{"none", "D a: s.com -> d.net", "s.com/x:1", "d.net/x s.com/x", ""},
		{"the source between them", "T a: s.com -> t.net, s.com, u.net", "s.com/x:1", "s.com/x", "t.net/x u.net/x"},
		{"by digest", "D a: s.com -> d.net\nT a: s.com -> t.net", "s.com/x@" + someDigest, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, found := answerCase(t, &conformance.Case{Sets: tt.sets, Image: tt.image}, Containerd)
			content := strings.Join(places(t, mirrors.Reference{}, found.Content), " ")
			if at := strings.Join(places(t, mirrors.Reference{}, found.TagMirrors), " "); content != tt.content || at != tt.mirrors {
				t.Errorf("content %q at %q, want %q at %q", content, at, tt.content, tt.mirrors)
			}
		})
	}
}

func TestSourcesThatMatchAndLoseAreNamedMostSpecificFirst(t *testing.T) {
	const sets = `a: quay.io -> m.local/q
		a: quay.io/libpod -> m.local/l
		a: quay.io/libpod/busybox -> m.local/b
		a: quay.io/lib -> m.local/x
		b: *.s.com -> m.local/s
		b: *.t.s.com -> m.local/t
		b: a.t.s.com -> m.local/a
		b: a.t.s.com:5000 -> m.local/p`
	parsed, err := mirrorstest.Parse(sets)
	if err != nil {
		t.Fatal(err)
	}
	rules := kinds.Merge(parsed, nil).Rules
	for _, tt := range []struct{ runtime, image, winner, others string }{
		{"", "quay.io/libpod/busybox", "quay.io/libpod/busybox", "quay.io/libpod quay.io"},
		{"", "quay.io/other/x", "quay.io", ""},
		{"", "a.t.s.com/x", "a.t.s.com", "*.t.s.com *.s.com"},
		{CRIO, "a.t.s.com/x", "*.t.s.com", "a.t.s.com *.s.com"},
		{"", "a.t.s.com:5000/x", "a.t.s.com:5000", ""},
		{CRIO, "a.t.s.com:5000/x", "a.t.s.com:5000", "*.t.s.com a.t.s.com *.s.com"},
		{Containerd, "a.t.s.com/x", "a.t.s.com", "*.t.s.com *.s.com"},
	} {
		ref, err := mirrors.ParseReference(tt.image + "@" + someDigest)
		if err != nil {
			t.Fatal(err)
		}
		found := New(rules, tt.runtime, certsd.Node{Redirector: "127.0.0.1:1"}).Answer(ref)
		var others []string
		for _, rule := range found.Others {
			others = append(others, string(rule.Source))
		}
		if got := strings.Join(others, " "); found.Rule == nil || string(found.Rule.Source) != tt.winner || got != tt.others {
			t.Errorf("%s by %q: rule %+v, others %q; want %s, %q", tt.image, tt.runtime, found.Rule, got, tt.winner, tt.others)
		}
	}
}
