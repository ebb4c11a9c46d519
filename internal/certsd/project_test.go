// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// TestRulesBecomeEndpoints covers the endpoints that hosts.toml can express by itself. Without a redirector, there are no others. With a redirector,
// they follow its entries.
func TestRulesBecomeEndpoints(t *testing.T) {
	for _, c := range []struct {
		name, sets string
		insecure   []string
		want       []string
	}{
		{name: "mirrors come in order, for digests only, and the source is last, for all",
			sets: "a: s.com -> m.com/q, n.com:5000", want: []string{"s.com: https://m.com/v2/q [digest], https://n.com:5000/v2 [digest], https://s.com/v2"}},
		{name: "the last mirror of a blocked source is the server",
			sets: "a: s.com -> m.com, n.com/q [Never]", want: []string{"s.com: https://m.com/v2 [digest], https://n.com/v2/q [digest]"}},
		{name: "the only mirror of a blocked source is asked twice, for 1.6 wants a table",
			sets: "a: s.com -> m.com [Never]", want: []string{"s.com: https://m.com/v2 [digest], https://m.com/v2 [digest]"}},
		{name: "a mirror that cannot exist is not asked beside others",
			sets: "a: s.com -> blocked.invalid, m.com [Never]\na: t.com -> x.invalid, m.com", want: []string{
				"s.com: https://m.com/v2 [digest], https://m.com/v2 [digest]", "t.com: https://m.com/v2 [digest], https://t.com/v2"}},
		{name: "nor alone, where the source is open",
			sets: "a: s.com -> x.invalid"},
		{name: "Docker Hub as a registry has another name",
			sets: "a: docker.io -> m.com\na: s.com -> docker.io/s", want: []string{
				"docker.io: https://m.com/v2 [digest], https://registry-1.docker.io/v2",
				"s.com: https://registry-1.docker.io/v2/s [digest], https://s.com/v2"}},
		{name: "a mirror on both names of Docker Hub is one table",
			sets: "a: s.com -> docker.io/s, m.com, registry-1.docker.io/s", want: []string{
				"s.com: https://registry-1.docker.io/v2/s [digest], https://m.com/v2 [digest], https://s.com/v2"}},
		{name: "blocked Docker Hub is not contacted by its other name",
			sets: "a: docker.io -> registry-1.docker.io, m.com [Never]", want: []string{"docker.io: https://m.com/v2 [digest], https://m.com/v2 [digest]"}},
		{name: "nor as another source's mirror",
			sets: "a: docker.io -> m.com [Never]\na: s.com -> registry-1.docker.io/s, n.com", want: []string{
				"docker.io: https://m.com/v2 [digest], https://m.com/v2 [digest]", "s.com: https://n.com/v2 [digest], https://s.com/v2"}},
		{name: "nor by its name in references, where the other one is blocked",
			sets: "a: registry-1.docker.io -> m.com [Never]\na: s.com -> docker.io/s, n.com", want: []string{
				"registry-1.docker.io: https://m.com/v2 [digest], https://m.com/v2 [digest]", "s.com: https://n.com/v2 [digest], https://s.com/v2"}},
		{name: "an insecure mirror is asked over TLS with any certificate, then over plain HTTP",
			sets: "a: s.com -> m.com/q, n.com", insecure: []string{"m.com"}, want: []string{
				"s.com: https://m.com/v2/q [any certificate] [digest], http://m.com/v2/q [digest], https://n.com/v2 [digest], https://s.com/v2"}},
		{name: "an insecure last mirror of a blocked source has its plain HTTP for a server",
			sets: "a: s.com -> m.com [Never]", insecure: []string{"m.com"}, want: []string{
				"s.com: https://m.com/v2 [any certificate] [digest], http://m.com/v2 [digest]"}},
		{name: "an insecure source without mirrors",
			sets: "a: s.com -> (none)", insecure: []string{"s.com"}, want: []string{"s.com: https://s.com/v2 [any certificate], http://s.com/v2"}},
		{name: "an insecure source resolves tags both ways",
			sets: "a: s.com -> m.com", insecure: []string{"s.com"}, want: []string{
				"s.com: https://m.com/v2 [digest], https://s.com/v2 [any certificate], http://s.com/v2"}},
		{name: "the source among its mirrors stays there for digests",
			sets: "a: s.com -> m.com, s.com, n.com", want: []string{
				"s.com: https://m.com/v2 [digest], https://s.com/v2 [digest], https://n.com/v2 [digest], https://s.com/v2"}},
		{name: "an insecure source among its mirrors is asked for tags there, as a table cannot come twice",
			sets: "a: s.com -> m.com, s.com, n.com", insecure: []string{"s.com"}, want: []string{
				"s.com: https://m.com/v2 [digest], https://s.com/v2 [any certificate], http://s.com/v2 [digest], https://n.com/v2 [digest], http://s.com/v2"}},
		{name: "nothing is pushed to a mirror for both modes, and images are to the source among them",
			sets: "D a: s.com -> m.com, s.com, n.com\nT a: s.com -> m.com, s.com, n.com", want: []string{
				"s.com: https://m.com/v2 [no push], https://s.com/v2, https://n.com/v2 [no push], https://s.com/v2"}},
		{name: "nor is the source lost to pushes where its other name stands first",
			sets: "D a: docker.io -> registry-1.docker.io, docker.io, n.com\nT a: docker.io -> registry-1.docker.io, docker.io, n.com", want: []string{
				"docker.io: https://registry-1.docker.io/v2, https://n.com/v2 [no push], https://registry-1.docker.io/v2"}},
		{name: "a loopback source is asked as containerd does by itself",
			sets: "a: localhost:5000 -> m.com\na: 127.0.0.1 -> m.com, 127.0.0.1, n.com", want: []string{
				"127.0.0.1: https://m.com/v2 [digest], https://127.0.0.1/v2 [any certificate], http://127.0.0.1/v2 [digest], https://n.com/v2 [digest], http://127.0.0.1/v2",
				"localhost:5000: https://m.com/v2 [digest], https://localhost:5000/v2 [any certificate], http://localhost:5000/v2"}},
		{name: "a loopback mirror is not",
			sets: "a: s.com -> localhost:5000", want: []string{"s.com: https://localhost:5000/v2 [digest], https://s.com/v2"}},
		{name: "a name that looks like loopback or a scheme is a name",
			sets: "a: 127.0.0.1.com -> m.com\na: http.com -> m.com", want: []string{
				"127.0.0.1.com: https://m.com/v2 [digest], https://127.0.0.1.com/v2", "http.com: https://m.com/v2 [digest], https://http.com/v2"}},
		{name: "a mirror's path may look like the API's root",
			sets: "a: s.com -> m.com/v2", want: []string{"s.com: https://m.com/v2/v2 [digest], https://s.com/v2"}},
		{name: "a port makes another registry, in the order of folders",
			sets: "a: s.com -> m.com\na: s.com:5000 -> n.com\na: s.com.x -> m.com", want: []string{
				"s.com.x: https://m.com/v2 [digest], https://s.com.x/v2", "s.com: https://m.com/v2 [digest], https://s.com/v2",
				"s.com:5000: https://n.com/v2 [digest], https://s.com:5000/v2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := projectOn(t, certsd.Node{}, c.sets, c.insecure...)
			got := describe(t, tree)
			slices.Sort(got)
			slices.Sort(c.want)
			expect(t, "tree", got, c.want)
			if !slices.IsSortedFunc(tree.Files, func(a, b certsd.File) int { return strings.Compare(a.Path, b.Path) }) {
				t.Errorf("the files are out of order")
			}
			for _, f := range project(t, c.sets, c.insecure...).Files {
				entries, behind := cutEntries(parse(t, f.Host, f.Content))
				at := slices.IndexFunc(tree.Files, func(straight certsd.File) bool { return straight.Host == f.Host })
				if at < 0 { // which the redirector alone has something to say of
					continue
				}
				straight := parse(t, f.Host, tree.Files[at].Content)
				if len(entries) > 0 && len(straight) == 2 && reflect.DeepEqual(straight[0], straight[1]) {
					straight = straight[1:] // a lone mirror, which is asked twice only for want of another table
				}
				if !reflect.DeepEqual(behind, straight) {
					t.Errorf("%s: behind the redirector's entries stand\n     %+v\nwant %+v", f.Host, behind, straight)
				}
			}
		})
	}
}

func TestCertificatesBesideAFileAreCarriedOverToTheSource(t *testing.T) {
	found, other := certsd.FindCertificates([]string{"a.cert", "a.key", "b.crt", "c.cert", "d.crt", "stray.key"})
	if other != "" {
		t.Fatalf("%s has no use", other)
	}
	node := certsd.Node{Redirector: redirector, Certificates: func(host string) certsd.Certificates {
		if host == "u.com" {
			return certsd.Certificates{}
		}
		return found
	}}
	const own = " [b.crt d.crt] [[a.cert a.key] [c.cert c.cert]]"
	expect(t, "tree", describe(t, projectOn(t, node, "a: s.com -> m.com, s.com, n.com\na: docker.io/x -> m.com\na: u.com -> m.com\na: v.com/x -> m.com [Never]\na: w.com -> m.com [Never]\na: i.com -> m.com\na: p.com/x -> m.com\na: p.com/y -> m.com", "i.com", "p.com/x")),
		[]string{
			"docker.io: redirector/0 [digest], https://registry-1.docker.io/v2" + own,
			"i.com: https://m.com/v2 [digest], https://i.com/v2 [any certificate]" + own + ", http://i.com/v2",
			"p.com: redirector/0 [digest], redirector/source, https://p.com/v2" + own, // of which a part is insecure, and streamed
			"s.com: https://m.com/v2 [digest], https://s.com/v2 [digest]" + own + ", https://n.com/v2 [digest], https://s.com/v2" + own,
			"u.com: redirector/0 [digest], redirector/source, https://m.com/v2 [digest], https://u.com/v2",
			"w.com: redirector/0 [digest], redirector/source, https://m.com/v2 [digest]",
			"v.com: pending [blocked]"})
	for _, name := range []string{"README", "x.crt\"]", "..crt", "hosts.toml"} {
		if _, other := certsd.FindCertificates([]string{"a.crt", name}); other != name {
			t.Errorf("%s is taken for a certificate", name)
		}
	}
}

func TestWhatIsPendingIsBlockedIfAnyRuleAboutItIs(t *testing.T) {
	certificates := func(string) certsd.Certificates { return certsd.Certificates{CA: []string{"ca.crt"}} }
	node := certsd.Node{Redirector: redirector, AllowDefaultHost: true, Certificates: certificates}
	expect(t, "below a blocked wildcard", describe(t, projectOn(t, node, "a: *.s.com -> m.com [Never]\na: a.s.com/x -> n.com")), []string{
		"_default: redirector/0 [digest], redirector/source", "a.s.com: pending [blocked]"})
}

func TestAFileClosesARegistryIfNothingInItLeadsThere(t *testing.T) {
	for sets, want := range map[string]bool{
		"a: s.com -> m.com":                                false,
		"a: s.com -> m.com [Never]":                        true,
		"a: s.com/x -> m.com":                              false,
		"a: s.com/x -> m.com [Never]":                      true,
		"a: *.com -> m.org":                                false,
		"a: *.com -> m.org [Never]":                        true,
		"a: docker.io -> m.com":                            false,
		"a: docker.io -> m.com [Never]":                    true,
		"a: s.com -> m.com\na: s.com/x -> (none)":          false,
		"a: s.com -> m.com [Never]\na: s.com/x -> (none)":  true,
		"a: s.com:5000 -> s.com [Never]":                   true,
		"a: s.com:5000 -> s.com/s, s.com:5000, m.com/long": false,
	} {
		f := projectOn(t, certsd.Node{Redirector: redirector, AllowDefaultHost: true}, sets).Files[0]
		if got := certsd.Closes(f.Host, f.Content); got != want {
			t.Errorf("%s: got %t", sets, got)
		}
	}
	if certsd.Closes("s.com", nil) {
		t.Error("an empty file closes a registry")
	}
}

func TestAFileDependsOnTheRedirectorIfItNamesNobodyElse(t *testing.T) {
	for sets, want := range map[string]bool{
		"a: s.com/x -> m.com":                             false,
		"a: s.com/x -> m.com [Never]":                     true,
		"a: *.com -> m.org":                               false,
		"a: *.com -> m.org [Never]":                       true,
		"a: s.com -> m.com":                               false,
		"a: s.com -> m.com [Never]":                       false, // the mirror stands behind it
		"a: s.com -> m.com [Never]\na: s.com/x -> (none)": true,
	} {
		f := projectOn(t, certsd.Node{Redirector: redirector, AllowDefaultHost: true}, sets).Files[0]
		if got := certsd.Depends(f.Host, f.Content); got != want {
			t.Errorf("%s: got %t", sets, got)
		}
	}
	closed := projectOn(t, certsd.Node{}, "a: s.com/x -> m.com [Never]").Pending[0].Instead
	if !certsd.Depends(closed.Host, closed.Content) {
		t.Error("a registry that is closed until there is a redirector does not depend on it")
	}
	if certsd.Depends("s.com", nil) {
		t.Error("an empty file depends on it")
	}
}

func TestRulesThatNobodyChecksAreNotWritten(t *testing.T) {
	for _, rule := range []mirrors.Rule{
		{Source: "../../etc", Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest}}},
		{Source: "..", Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest}}},
		{Source: "", Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest}}},
		{Source: "_default", Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest}}},
		{Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com\"]\n[host.\"x", Modes: mirrors.ByDigest}}},
		{Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest}, {Location: "m.com", Modes: mirrors.ByDigest}}, Blocked: true},
	} {
		tree := certsd.Project([]mirrors.Rule{rule}, certsd.Node{Redirector: redirector})
		if len(tree.Files) != 0 || len(tree.Pending) != 1 || tree.Pending[0].Reason == "" || tree.Pending[0].Blocked != rule.Blocked {
			t.Errorf("%+v: got %+v", rule, tree)
		}
	}
}

func TestFoldersAreNamedAsContainerdLooksThemUp(t *testing.T) {
	expect(t, "plain", certsd.Folders("s.com"), []string{"s.com"})
	expect(t, "with a port", certsd.Folders("s.com:5000"), []string{"s.com_5000_", "s.com:5000"})
	for _, f := range project(t, "a: s.com:5000 -> m.com").Files {
		if f.Path != "s.com_5000_/hosts.toml" {
			t.Errorf("got %s", f.Path)
		}
	}
}

func TestAFoldersRegistryIsKnownByItsName(t *testing.T) {
	for folder, want := range map[string]string{"s.com": "s.com", "s.com_5000_": "s.com:5000", "s.com:5000": "s.com:5000", "_default": "_default", "_": "_", "a_": "a_"} {
		if got := certsd.HostOf(folder); got != want {
			t.Errorf("%s: got %s, want %s", folder, got, want)
		}
	}
}

func TestReasonsNameWhatIsInTheWay(t *testing.T) {
	tree := projectOn(t, certsd.Node{}, "a: *.t.com -> m.com [Never]\na: s.com -> m.com\na: s.com/x -> m.com")
	for i, want := range []string{"--allow-default-host", "redirector does not run"} {
		if !strings.Contains(tree.Pending[i].Reason, want) {
			t.Errorf("%s: got %s, want %s", tree.Pending[i].Host, tree.Pending[i].Reason, want)
		}
	}
}
