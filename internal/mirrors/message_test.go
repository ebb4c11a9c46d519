// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// messages are those of the findings with a reason.
func messages(result mirrors.Result, reason mirrors.Reason) (all []string) {
	for _, f := range result.Findings {
		if f.Reason == reason {
			all = append(all, f.Message)
		}
	}
	return all
}

func TestAnEntryIsToldOnceOfAllItsMirrorsThatAreLeftOut(t *testing.T) { // E1, E3
	for sets, want := range map[string]string{
		"a: s.com -> https://m.com, n.com, m.com/X:v1, mirror": `source "s.com": mirrors[0] "https://m.com" is ignored: it begins with the scheme "https://"; write "m.com"; ` +
			`mirrors[2] "m.com/X:v1" is ignored: it ends with the tag ":v1", and it has capital letters in its path; write host[:port][/path]; ` +
			`mirrors[3] "mirror" is ignored: its host is a single label, so runtimes read it as a repository of docker.io; give the host a domain or a port`,
		"a: s.com -> m.com/":         `source "s.com": mirrors[0] "m.com/" is ignored: it ends with a slash; write "m.com"; no usable mirror is left, so the entry is ignored`,
		"a: s.com -> m.com/ [Never]": `source "s.com": mirrors[0] "m.com/" is ignored: it ends with a slash; write "m.com"; no usable mirror is left, and the policy is NeverContactSource, so the source is blocked`,
	} {
		if got := messages(merge(t, sets), mirrors.InvalidMirror); !slices.Equal(got, []string{want}) {
			t.Errorf("%s:\n got  %q\n want %q", sets, got, want)
		}
	}
	const source = `source "https://s.com/x@sha256:1" is invalid, so the whole entry is ignored: it begins with the scheme "https://", and it ends with the digest "@sha256:1"; write "s.com/x"`
	if got := messages(merge(t, "a: https://s.com/x@sha256:1 -> m.com"), mirrors.InvalidSource); !slices.Equal(got, []string{source}) {
		t.Errorf("got %q", got)
	}
	many := messages(merge(t, "a: s.com -> a/, b/, c/, d/, e/, f/, g/"), mirrors.InvalidMirror)
	if len(many) != 1 || !strings.Contains(many[0], "mirrors[4]") || strings.Contains(many[0], "mirrors[5]") || !strings.Contains(many[0], "2 more are ignored") {
		t.Errorf("of many: %q", many)
	}
}

func TestAMessageSaysWhichMirrorOfItsEntry(t *testing.T) {
	for sets, want := range map[string]string{
		"a: s.com/r -> m.com/x, m.com/x, n.com":                   "mirrors[2] ",
		"a: s.com/r -> m.com/x, n.com\nb: s.com/r -> n.com":       "mirrors[0, 1] ",
		"a: s.com/r -> B/, m.com/x, n.com, o.com/x":               "mirrors[2] ",
		"T a: s.com -> n.com\nD b: s.com/r -> m.com/x, n.com":     "mirrors[1] ",
		"a: s.com -> n.com/y\nb: n.com -> o.com [Never]":          "mirrors[0] ",
		"a: s.com -> o.com, n.com\nb: n.com/x -> o.com/x [Never]": "part of mirrors[1] ",
	} {
		result := merge(t, sets)
		got := append(messages(result, mirrors.InvalidRewrite), messages(result, mirrors.MirrorBlocked)...)
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: got %q, want %q", sets, got, want)
		}
	}
	one, other := merge(t, "a: s.com/r -> n.com").Findings[0], merge(t, "a: s.com/r -> m.com/x, n.com").Findings[0]
	if one.Message == other.Message || one.Key() != other.Key() {
		t.Errorf("%q and %q, though they differ in the place alone", one.Key(), other.Key())
	}
}

func TestALongMirrorIsNamedWhereItLeavesLittleRoom(t *testing.T) { // E3
	const tenant = "quay.io/acme-user-workloads/some-machine-configuration-tenant/some-machine-config-operator/some-machine-config-operator-release-4-2"
	none := merge(t, "a: registry.redhat.io/product-longname/some-machine-config-rhel9-operator -> "+tenant+"1, "+tenant+"0")
	if len(none.Findings) > 0 {
		t.Errorf("found %q", labels(none.Findings))
	}
	for _, tt := range []struct {
		length int
		source string
		want   bool
	}{{190, "s.com", false}, {192, "s.com", true}, {192, "s.com/" + strings.Repeat("y", 200), false}, {250, "s.com/x", true}} {
		sets := "a: " + tt.source + " -> m.com/" + strings.Repeat("x", tt.length-len("m.com/"))
		if got := slices.Contains(reasons(merge(t, sets)), mirrors.LongMirror); got != tt.want {
			t.Errorf("%d characters for %.20s: found %t", tt.length, tt.source, got)
		}
	}
}

func TestAnInheritedMirrorThatGetsTooLongIsFound(t *testing.T) { // T4
	long := "t.net/" + strings.Repeat("x", 200)
	narrow := "s.com/" + strings.Repeat("y", 60)
	result := merge(t, "T t: s.com -> "+long+", u.net\nD d: "+narrow+" -> d.net/y")
	got := messages(result, mirrors.InheritedTooLong)
	if len(got) != 1 || !strings.Contains(got[0], `source "`+narrow+`" cannot inherit mirrors of source "s.com" for pulls by tag`) || strings.Contains(got[0], "u.net") {
		t.Errorf("got %q", got)
	}
	rule := result.Rules[1]
	if len(rule.Inherited) != 1 || !slices.Equal(rule.Inherited[0].TooLong, []mirrors.Scope{mirrors.Scope(long)}) || len(rule.MirrorsFor(mirrors.ByTag)) != 1 {
		t.Errorf("got %+v", rule)
	}
	if got := messages(merge(t, "T t: s.com -> u.net\nD d: "+narrow+" -> d.net/y"), mirrors.InheritedTooLong); len(got) > 0 {
		t.Errorf("of a short one: %q", got)
	}
}

func TestABlockWithoutAMirrorIsSaidHowToWriteAndFoundNoMore(t *testing.T) { // E5
	const how = "to block the source, name a mirror that cannot exist: mirrors: [blocked.invalid]"
	if got := messages(merge(t, "a: docker.io -> (none) [Never]"), mirrors.PolicyWithoutMirrors); len(got) != 1 || !strings.Contains(got[0], how) {
		t.Errorf("got %q", got)
	}
	if got := messages(merge(t, "a: docker.io -> (none) [Allow]"), mirrors.PolicyWithoutMirrors); len(got) != 1 || strings.Contains(got[0], how) {
		t.Errorf("a policy that allows: %q", got)
	}
	for sets, served := range map[string][2]bool{ // by digest, and by tag
		"a: docker.io -> blocked.invalid [Never]":                                   {false, false},
		"a: docker.io -> blocked.invalid":                                           {true, true},
		"a: docker.io -> blocked.invalid, m.com [Never]":                            {true, true},
		"T a: docker.io -> m.com [Never]\nD b: docker.io -> blocked.invalid":        {false, true},
		"a: docker.io -> m.com [Never]":                                             {true, true}, // no mirror is named for tags
		"D a: docker.io -> blocked.invalid [Never]\nD b: docker.io/x/y -> m.com/y":  {false, false},
		"D a: docker.io -> x.invalid:5000/p [Never]\nT b: docker.io -> y.invalid/z": {false, false},
	} {
		result := merge(t, sets)
		rule := result.Rules[0]
		for i, mode := range []mirrors.Mode{mirrors.ByDigest, mirrors.ByTag} {
			if rule.NoneServes(mode) == served[i] {
				t.Errorf("%s: by %s, none serves: %t", sets, mode, !served[i])
			}
		}
	}
	if got := reasons(merge(t, "a: docker.io -> blocked.invalid [Never]")); len(got) > 0 {
		t.Errorf("found %q about what was asked for", got)
	}
}
