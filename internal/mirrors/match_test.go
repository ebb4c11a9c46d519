// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// pullCase says where an image is tried; no places means that the pull is refused.
type pullCase struct {
	name, sets, image string
	tried             []string
}

func runPullCases(t *testing.T, cases []pullCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			expect(t, c.image, tried(t, merge(t, c.sets).Rules, c.image), c.tried)
		})
	}
}

func TestTheWorkedCasesOfTheSemantics(t *testing.T) { // section 6
	const (
		nested  = "a: quay.io -> m1.local/q\nb: quay.io/libpod -> m2.local/l"
		lists   = "a: s.com -> a.m, b.m, c.m\nb: s.com -> c.m, d.m, e.m"
		blocked = "a: s.com -> m.local/s [Never]"
	)
	runPullCases(t, []pullCase{
		{"the narrower source decides alone", nested, "quay.io/libpod/busybox@d", []string{"m2.local/l/busybox@d", "quay.io/libpod/busybox@d"}},
		{"the broader source decides elsewhere", nested, "quay.io/other/x@d", []string{"m1.local/q/other/x@d", "quay.io/other/x@d"}},
		{"lists merge", lists, "s.com/x@d", []string{"a.m/x@d", "b.m/x@d", "c.m/x@d", "d.m/x@d", "e.m/x@d", "s.com/x@d"}},
		{"a blocked source is not the last resort", blocked, "s.com/x@d", []string{"m.local/s/x@d"}},
		{"a blocked source refuses tags", blocked, "s.com/x:1", nil},
		{"a carve-out switches mirrors off", "a: s.com -> m.local/s\nb: s.com/free -> (none)", "s.com/free/x@d", []string{"s.com/free/x@d"}},
		{"a wildcard replaces the whole host", "a: *.redhat.io -> mirror.local/redhat", "registry.redhat.io/product/repo@d", []string{"mirror.local/redhat/product/repo@d", "registry.redhat.io/product/repo@d"}},
		{"the source in the middle is tried twice", "a: s.com -> m1.local, s.com, m2.local", "s.com/x@d", []string{"m1.local/x@d", "s.com/x@d", "m2.local/x@d", "s.com/x@d"}},
	})
}

func TestTheMostSpecificSourceDecidesAlone(t *testing.T) { // L1
	sets := `
		a: *.io -> w.m/1
		a: *.quay.io -> w.m/2
		a: quay.io -> h.m
		a: quay.io/libpod -> n.m/l
		a: quay.io/libpod/busybox -> r.m/b
		a: eu.quay.io:5000 -> p.m`
	for image, decides := range map[string]string{
		"quay.io/libpod/busybox@d":   "quay.io/libpod/busybox",
		"quay.io/libpod/busybox/x@d": "quay.io/libpod/busybox",
		"quay.io/libpod/busy@d":      "quay.io/libpod",
		"quay.io/libpod/busybox2@d":  "quay.io/libpod",
		"quay.io/libpod@d":           "quay.io/libpod",
		"quay.io/libpod2/x@d":        "quay.io",
		"quay.io/lib/x@d":            "quay.io",
		"eu.quay.io/x@d":             "*.quay.io",
		"a.eu.quay.io/x@d":           "*.quay.io",
		"eu.quay.io:5000/x@d":        "eu.quay.io:5000",
		"ghcr.io/x@d":                "*.io",
		"ghcr.io/x:tag":              "*.io",
		"eu.quay.io:5001/x@d":        "",
		"quay.io:5000/x@d":           "",
		"quay.com/x@d":               "",
		"io:5000/x@d":                "",
	} {
		t.Run(image, func(t *testing.T) {
			got := ""
			if rule := resolve(t, merge(t, sets).Rules, image).Rule; rule != nil {
				got = string(rule.Source)
			}
			if got != decides {
				t.Errorf("source %q decides, want %q", got, decides)
			}
		})
	}
}

func TestAWildcardMatchesSubdomainsAtAnyDepth(t *testing.T) { // L2, L3
	const sets = "a: *.example.com -> m.com/e"
	runPullCases(t, []pullCase{
		{"one level", sets, "a.example.com/x@d", []string{"m.com/e/x@d", "a.example.com/x@d"}},
		{"two levels", sets, "b.a.example.com/x/y@d", []string{"m.com/e/x/y@d", "b.a.example.com/x/y@d"}},
		{"not the domain itself", sets, "example.com/x@d", []string{"example.com/x@d"}},
		{"not what only ends alike", sets, "aexample.com/x@d", []string{"aexample.com/x@d"}},
		{"not in the path", sets, "b.com/a.example.com@d", []string{"b.com/a.example.com@d"}},
		{"not another port", sets, "a.example.com:5000/x@d", []string{"a.example.com:5000/x@d"}},
		{"the last occurrence of the domain counts", sets, "a.example.com.example.com/x@d", []string{"m.com/e/x@d", "a.example.com.example.com/x@d"}},
	})
}

func TestReferencesAreComparedInCanonicalForm(t *testing.T) { // L2a
	const hub = "a: docker.io -> m.com"
	const library = "a: docker.io/library -> m.com/l"
	runPullCases(t, []pullCase{
		{"a short name is of the library", hub, "alpine@d", []string{"m.com/library/alpine@d", "docker.io/library/alpine@d"}},
		{"a user's short name is of docker.io", hub, "user/app@d", []string{"m.com/user/app@d", "docker.io/user/app@d"}},
		{"docker.io/x is of the library", library, "docker.io/alpine@d", []string{"m.com/l/alpine@d", "docker.io/library/alpine@d"}},
		{"index.docker.io is docker.io", library, "index.docker.io/alpine@d", []string{"m.com/l/alpine@d", "docker.io/library/alpine@d"}},
		{"a tag beside a digest plays no part", hub, "user/app:1@d", []string{"m.com/user/app@d", "docker.io/user/app@d"}},
		{"a missing tag is latest", hub, "alpine", []string{"docker.io/library/alpine:latest"}},
	})
}

func TestMirrorsAreForDigestsOnly(t *testing.T) { // L4
	runPullCases(t, []pullCase{
		{"a tag goes to the source", "a: s.com -> m.com", "s.com/x:1", []string{"s.com/x:1"}},
		{"even where the source is among its mirrors", "a: s.com -> s.com, m.com", "s.com/x:1", []string{"s.com/x:1"}},
		{"a blocked wildcard refuses it", "a: *.s.com -> m.com [Never]", "a.s.com/x:1", nil},
	})
	result := merge(t, "a: s.com -> m.com [Never]")
	if res := resolve(t, result.Rules, "s.com/x:1"); !res.Blocked || res.Rule == nil {
		t.Errorf("a refused tag resolves to %+v, want a blocked rule", res)
	}
}

func TestMirrorsThatCannotServeAReferenceArePassedOver(t *testing.T) { // Q3, Q4
	runPullCases(t, []pullCase{
		{"a bare host is no repository", "a: s.com/r -> m.com:5000, n.com/r", "s.com/r@d", []string{"n.com/r@d", "s.com/r@d"}},
		{"a bare host serves what is below", "a: s.com/r -> m.com:5000", "s.com/r/x@d", []string{"m.com:5000/x@d", "s.com/r/x@d"}},
		{"docker.io has no repository of one component", "a: s.com -> docker.io", "s.com/x@d", []string{"s.com/x@d"}},
		{"docker.io serves two components", "a: s.com -> docker.io", "s.com/x/y@d", []string{"docker.io/x/y@d", "s.com/x/y@d"}},
		{"a name over 255 characters is none", "a: s.com -> m.com/" + strings.Repeat("x", 248), "s.com/x@d", []string{"s.com/x@d"}},
		{"a name of 255 characters is one", "a: s.com -> m.com/" + strings.Repeat("x", 247), "s.com/x@d", []string{"m.com/" + strings.Repeat("x", 247) + "/x@d", "s.com/x@d"}},
		{"a blocked source is not a mirror either", "a: s.com -> m.com, n.com\nb: m.com -> n.com [Never]", "s.com/x@d", []string{"n.com/x@d", "s.com/x@d"}},
		{"nor is a blocked part of one", "a: s.com -> m.com\nb: m.com/x -> n.com/x [Never]", "s.com/x@d", []string{"s.com/x@d"}},
		{"a hole in a blocked source is", "a: s.com -> m.com\nb: m.com -> n.com [Never]\nc: m.com/x -> (none)", "s.com/x@d", []string{"m.com/x@d", "s.com/x@d"}},
	})
}

func TestPullSourcesSayWhatIsInsecureAndWhoBroughtThem(t *testing.T) {
	result := merge(t, "a: *.s.com -> m.com\nb: *.s.com -> m.com, n.com", "m.com", "*.s.com")
	res := resolve(t, result.Rules, "x.s.com/y@d")
	for i, want := range []struct {
		insecure bool
		from     string
	}{{true, "a b"}, {false, "b"}, {true, ""}} {
		got := res.PullSources[i]
		if from := strings.ReplaceAll(mirrors.Names(got.From), ", ", " "); got.Insecure != want.insecure || from != want.from {
			t.Errorf("%s: insecure %v from %q, want %v from %q", got.Location, got.Insecure, from, want.insecure, want.from)
		}
	}
}
