// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

func TestFindingsOfTheRuntimesQuirks(t *testing.T) { // Q1, Q3, Q4, Q5
	for _, c := range []struct {
		name, sets string
		findings   []string // but for WildcardCollapse and BlocksTagPulls, which have tests of their own
	}{
		{"Q1: a wildcard as long as a host ties", "b: *.s.com -> m.com\na: a.s.com -> n.com", []string{"WildcardTie a.s.com a/0 b/0"}},
		{"Q1: a longer label does not tie", "a: *.s.com -> m.com\nb: aa.s.com -> n.com", nil},
		{"Q1: a repository does not tie", "a: *.s.com -> m.com\nb: a.s.com/x -> n.com/x", nil},
		{"Q1: a port does not tie", "a: *.s.com -> m.com\nb: a.s.com:5000 -> n.com", nil},
		{"Q1: a wildcard two labels up does not tie", "a: *.com -> m.com\nb: a.s.com -> n.com", nil},
		{"Q1: two wildcards do not tie", "a: *.s.com -> m.com\nb: *.a.s.com -> n.com", nil},
		{"Q3: a bare mirror of a path", "a: s.com/r -> m.com:5000", []string{"InvalidRewrite s.com/r a/0"}},
		{"Q3: a bare mirror of a host is fine", "a: s.com -> m.com:5000", nil},
		{"Q3: a mirror that cannot exist closes a repository (E5)", "a: s.com/r -> blocked.invalid [Never]", nil},
		{"Q3: beside one that exists it fails pulls", "a: s.com/r -> m.com/r, blocked.invalid [Never]", []string{"InvalidRewrite s.com/r a/0"}},
		{"Q3: docker.io with one component, of a path", "a: s.com/r -> docker.io/r", []string{"InvalidRewrite s.com/r a/0"}},
		{"Q3: docker.io with one component, of a host, is fine", "a: s.com -> docker.io/r", nil},
		{"Q3: docker.io/library is fine for a host", "a: s.com -> docker.io/library", nil},
		{"Q3: bare docker.io of a host", "a: s.com -> docker.io", []string{"InvalidRewrite s.com a/0"}},
		{"Q3: names the entries that list the mirror", "a: s.com/r -> m.com/x\nb: s.com/r -> m.com\nc: s.com/r -> m.com", []string{"InvalidRewrite s.com/r b/0 c/0"}},
		{"Q4: a mirror that is a blocked source", "a: m.com -> n.com [Never]\nb: s.com -> m.com", []string{"MirrorBlocked s.com b/0"}},
		{"Q4: a mirror inside a blocked source", "a: m.com -> n.com [Never]\nb: s.com -> m.com/x", []string{"MirrorBlocked s.com b/0"}},
		{"Q4: a mirror under a blocked wildcard", "a: *.m.com -> n.com [Never]\nb: s.com -> a.m.com/x", []string{"MirrorBlocked s.com b/0"}},
		{"Q4: a mirror around a blocked source", "a: m.com/x/y -> n.com/y [Never]\nb: s.com -> m.com/x", []string{"MirrorBlocked s.com b/0"}},
		{"Q4: a mirror beside a blocked source is fine", "a: m.com/x -> n.com/x [Never]\nb: s.com -> m.com/xy", nil},
		{"Q4: a mirror whose name a blocked source's begins with is fine", "a: m.com/xy -> n.com/x [Never]\nb: s.com -> m.com/x", nil},
		{"Q4: a source among its own mirrors is no mirror", "a: s.com -> m.com, s.com, n.com\nb: s.com/x -> o.com/x [Never]", nil},
		{"Q4: a mirror inside its own blocked source", "a: s.com -> s.com/cache [Never]", []string{"MirrorBlocked s.com a/0"}},
		{"Q4: a mirror in the hole of a blocked source is fine", "a: m.com -> n.com [Never]\nb: s.com -> m.com/x\nc: m.com/x -> o.com/x", nil},
		{"Q5: index.docker.io", "a: index.docker.io/x -> m.com/x", []string{"UnmatchableSource index.docker.io/x a/0"}},
		{"Q5: registry-1.docker.io", "a: registry-1.docker.io -> m.com", []string{"UnmatchableSource registry-1.docker.io a/0"}},
		{"Q5: a namespace of docker.io", "a: docker.io/bitnami -> m.com/x\nb: docker.io/bitnami -> m.com/x", []string{"DockerHubNamespace docker.io/bitnami a/0 b/0"}},
		{"Q5: a namespace of docker.io without a mirror", "a: docker.io/bitnami -> (none)", []string{"DockerHubNamespace docker.io/bitnami a/0"}},
		{"Q5: a namespace elsewhere is fine", "a: quay.io/bitnami -> m.com/x\na: xdocker.io/a -> m.com/y", nil},
		{"Q3: a namespace of docker.io is no repository", "a: docker.io/bitnami -> m.com:5000\na: docker.io/library -> m.com", []string{"DockerHubNamespace docker.io/bitnami a/0"}},
		{"Q3: docker.io with one component, of a namespace", "a: docker.io/library -> docker.io", []string{"InvalidRewrite docker.io/library a/0"}},
		{"Q3: a bare host of an official image", "a: docker.io/library/alpine -> m.com", []string{"InvalidRewrite docker.io/library/alpine a/0"}},
		{"Q5: docker.io/library is fine", "a: docker.io/library -> m.com/x", nil},
		{"Q5: a user of docker.io is fine below", "a: docker.io/user/app -> m.com/x", nil},
		{"Q5: a single label", "a: foo/x -> m.com/x", []string{"UnmatchableSource foo/x a/0"}},
		{"Q5: a single label with a port is fine", "a: foo:5000/x -> m.com/x", nil},
		{"Q5: localhost is fine", "a: localhost -> m.com", nil},
		{"Q5: a wildcard of one label is fine", "a: *.io -> m.com", nil},
		{"Q5: capital letters", "a: Quay.io -> m.com", []string{"UnmatchableSource Quay.io a/0"}},
		{"Q5: capital letters in a wildcard", "a: *.Quay.io -> m.com", []string{"UnmatchableSource *.Quay.io a/0"}},
		{"Q5: longer than any name", "a: s.com/" + strings.Repeat("x", 250) + " -> m.com/x", []string{"UnmatchableSource s.com/" + strings.Repeat("x", 250) + " a/0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept := slices.DeleteFunc(merge(t, c.sets).Findings, func(f mirrors.Finding) bool {
				return f.Reason == mirrors.WildcardCollapse || f.Reason == mirrors.BlocksTagPulls
			})
			expect(t, "findings", labels(kept), c.findings)
		})
	}
}

func TestInformationalFindings(t *testing.T) { // L3, L4
	runMergeCases(t, []mergeCase{
		{"subdomains collapse on a mirror", "a: *.s.com -> m.com", []string{"*.s.com -> m.com"}, []string{"WildcardCollapse *.s.com a/0"}},
		{"without a mirror nothing collapses", "a: *.s.com -> (none)", []string{"*.s.com -> (none)"}, nil},
		{"a blocked source refuses tags", "a: s.com -> m.com\nb: s.com -> m.com [Never]", []string{"s.com -> m.com [blocked]"}, []string{"PolicyConflict s.com a/0 b/0", "BlocksTagPulls s.com b/0"}},
	})
}

func TestEveryReasonIsFound(t *testing.T) {
	result := merge(t, `
		a: S_ -> m.com
		a: s.com -> x.m, BAD, y.m
		a: s.com -> y.m, x.m, s.com [Never]
		b: s.com -> x.m [Sometimes]
		b: s.com/free -> (none) [Allow]
		c: *.s.com -> docker.io
		c: a.s.com -> s.com/y
		c: foo -> m.com
		c: docker.io/bitnami -> m.com`)
	found := make(map[mirrors.Reason]bool)
	for _, f := range result.Findings {
		found[f.Reason] = true
	}
	for _, reason := range []mirrors.Reason{
		mirrors.InvalidSource, mirrors.InvalidMirror, mirrors.InvalidPolicy, mirrors.PolicyWithoutMirrors, mirrors.CarveOutOpensBlocked,
		mirrors.OrderConflict, mirrors.PolicyConflict, mirrors.SourceInOwnMirrors, mirrors.WildcardCollapse, mirrors.BlocksTagPulls,
		mirrors.WildcardTie, mirrors.InvalidRewrite, mirrors.MirrorBlocked, mirrors.UnmatchableSource, mirrors.DockerHubNamespace,
	} {
		if !found[reason] {
			t.Errorf("%s is not found", reason)
		}
		delete(found, reason)
	}
	if len(found) > 0 {
		t.Errorf("found reasons that this test does not know: %v", found)
	}
}

func TestFindingsAreSortedByTheEntriesTheyAreAbout(t *testing.T) {
	result := merge(t, "b: foo -> m.com\na: zoo -> m.com\na: S_ -> m.com\na: *.y.com -> m.com [Never]")
	expect(t, "findings", labels(result.Findings), []string{
		"UnmatchableSource zoo a/0", "InvalidSource S_ a/1", "BlocksTagPulls *.y.com a/2", "WildcardCollapse *.y.com a/2", "UnmatchableSource foo b/0",
	})
}

func TestMessagesNameTheValueOnOneLineOfBoundedLength(t *testing.T) {
	long := strings.Repeat(`\x00\n\"`, 10000)
	var many strings.Builder
	for i := range 500 {
		fmt.Fprintf(&many, "o%03d: s.com -> m%d.m, m%d.m [%s]\n", i, i, (i+1)%500, []string{"Never", "Allow"}[i%2])
	}
	for name, sets := range map[string]string{
		"a long source": `a: "` + long + `" -> m.com`,
		"a long mirror": `a: s.com -> "` + long + `"`,
		"a long policy": `a: s.com -> m.com [` + strings.Repeat("x", 10000) + `]`,
		"many objects":  many.String(),
	} {
		t.Run(name, func(t *testing.T) {
			result := merge(t, sets)
			if len(result.Findings) == 0 {
				t.Fatal("nothing is found")
			}
			for _, f := range result.Findings {
				if len(f.Message) > 4096 || strings.ContainsAny(f.Message, "\x00\n\r") || !utf8.ValidString(f.Message) {
					t.Errorf("%s: message of %d characters: %.200q", f.Reason, len(f.Message), f.Message)
				}
			}
		})
	}
	message := merge(t, "a: s.com -> Bad/X").Findings[0].Message
	for _, value := range []string{`"Bad/X"`, `"s.com"`} {
		if !strings.Contains(message, value) {
			t.Errorf("message %q does not name %s", message, value)
		}
	}
}

func TestObjectsNamesEachOnceInOrder(t *testing.T) {
	entries := []mirrors.Entry{in("b", 0), in("a", 0), in("b", 1)}
	if got := mirrors.Objects(entries); !slices.Equal(got, []mirrors.Object{in("b", 0).Object, in("a", 0).Object}) {
		t.Errorf("got %v", got)
	}
}

func TestNamesAreBoundedAndPlain(t *testing.T) {
	entries := []mirrors.Entry{in("a\x1b[2J", 0)}
	for i := range 20 {
		entries = append(entries, in(fmt.Sprintf("o%02d", i), 0))
	}
	if got, want := mirrors.Names(entries), `"a\x1b[2J", o00, o01, o02, o03, o04, o05, o06, o07, o08 and 11 more`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	longest := strings.Repeat("a", 253)
	if got, want := mirrors.Names([]mirrors.Entry{in("", 0), in(longest, 0)}), `"", `+longest; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := mirrors.Names([]mirrors.Entry{in(longest+"a", 0)}); len(got) > 110 {
		t.Errorf("got %s, which nobody can read", got)
	}
}

// Sets of two kinds may have one name.
func TestASetAboutTagsIsNamedWithItsKind(t *testing.T) {
	tags := func(name string) mirrors.Entry {
		return mirrors.Entry{Object: mirrors.Object{Kind: &kinds.Tag.Kind, Name: name}}
	}
	entries := []mirrors.Entry{in("a", 0), tags("a"), tags("b\n")}
	if got, want := mirrors.Names(entries), `a, itms/a, "itms/b\n"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := entries[2].Label(); got != "itms/b\n" {
		t.Errorf("label %q", got)
	}
}

func TestAFindingSaysWhichEntriesOfItsObject(t *testing.T) {
	one := mirrors.Finding{Entries: []mirrors.Entry{in("a", 3), in("a", 5)}}
	two := mirrors.Finding{Entries: []mirrors.Entry{in("a", 3), in("b", 5)}}
	if one.Path() != "spec.imageDigestMirrors[3, 5]" || two.Path() != "" {
		t.Errorf("got %q and %q", one.Path(), two.Path())
	}
}

func TestAMirrorThatReadersTakeForPartOfABlockedSourceIsFound(t *testing.T) {
	for _, sets := range []string{
		"a: s.com -> s.com:5000/m [Never]",
		"a: *.com -> m.com:5000/x [Never]",
		"a: t.com -> m.com:5000/x\nb: m.com -> n.com [Never]",
		"a: t.com -> a.m.com\nb: *.m.com -> n.com [Never]\nc: a.m.com -> n.com",
	} {
		if got := reasons(merge(t, sets)); !slices.Contains(got, mirrors.MirrorBlocked) {
			t.Errorf("%s: found only %v", sets, got)
		}
	}
}

func TestAFailClosedSourceInsideABlockedOneOpensNothing(t *testing.T) {
	got := reasons(merge(t, "a: s.com -> m.com [Never]\nb: s.com/x -> mirror [Never]"))
	if slices.Contains(got, mirrors.CarveOutOpensBlocked) {
		t.Errorf("found %v", got)
	}
}

func reasons(result mirrors.Result) []mirrors.Reason {
	var found []mirrors.Reason
	for _, f := range result.Findings {
		found = append(found, f.Reason)
	}
	return found
}
