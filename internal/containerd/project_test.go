// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package containerd_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/containerd"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

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
		{name: "a blocked source without usable mirrors is pending",
			sets: "a: s.com -> mirror [Never]", want: []string{"s.com: pending [blocked]"}},
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
		{name: "an insecure source resolves tags both ways",
			sets: "a: s.com -> m.com", insecure: []string{"s.com"}, want: []string{
				"s.com: https://m.com/v2 [digest], https://s.com/v2 [any certificate], http://s.com/v2"}},
		{name: "the source among its mirrors stays there for digests",
			sets: "a: s.com -> m.com, s.com, n.com", want: []string{
				"s.com: https://m.com/v2 [digest], https://s.com/v2 [digest], https://n.com/v2 [digest], https://s.com/v2"}},
		{name: "an insecure source among its mirrors is asked for tags there, as a table cannot come twice",
			sets: "a: s.com -> m.com, s.com, n.com", insecure: []string{"s.com"}, want: []string{
				"s.com: https://m.com/v2 [digest], https://s.com/v2 [any certificate], http://s.com/v2 [digest], https://n.com/v2 [digest], http://s.com/v2"}},
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
			tree := project(t, c.sets, c.insecure...)
			got := describe(t, tree)
			slices.Sort(got)
			slices.Sort(c.want)
			expect(t, "tree", got, c.want)
			if !slices.IsSortedFunc(tree.Files, func(a, b containerd.File) int { return strings.Compare(a.Path, b.Path) }) {
				t.Errorf("the files are out of order")
			}
		})
	}
}

func TestWhatHostsTOMLCannotSayIsPending(t *testing.T) {
	for _, c := range []struct {
		name, sets string
		want       []string
	}{
		{name: "a source below a host", sets: "a: s.com/x -> m.com/x", want: []string{"s.com: pending"}},
		{name: "a host with a source below", sets: "a: s.com -> m.com\na: s.com/x -> m.com/x [Never]", want: []string{"s.com: pending [blocked]"}},
		{name: "a host with a carve-out below", sets: "a: s.com -> m.com\na: s.com/x -> (none)", want: []string{"s.com: pending"}},
		{name: "a wildcard, but not a host below it", sets: "a: *.s.com -> m.com [Never]\na: a.s.com -> n.com", want: []string{
			"a.s.com: https://n.com/v2 [digest], https://a.s.com/v2", "*.s.com: pending [blocked]"}},
		{name: "a mirror that is blocked in part", sets: "a: s.com -> m.com, n.com\na: m.com/x -> n.com [Never]", want: []string{
			"m.com: pending [blocked]", "s.com: pending"}},
		{name: "a mirror that is blocked in part, among blocked sources with names like its own",
			sets: "a: s.com -> m.com\na: m.com-x.org -> n.com [Never]\na: m.com.x -> n.com [Never]\na: m.com/x -> n.com [Never]", want: []string{
				"m.com-x.org: https://n.com/v2 [digest], https://n.com/v2 [digest]", "m.com.x: https://n.com/v2 [digest], https://n.com/v2 [digest]",
				"m.com: pending [blocked]", "s.com: pending"}},
		{name: "a blocked mirror with an opening", sets: "a: s.com -> m.com, n.com\na: m.com -> n.com [Never]\na: m.com/x -> (none)", want: []string{
			"m.com: pending [blocked]", "s.com: pending"}},
		{name: "an opening with a block in it", sets: "a: s.com -> m.com/x\na: m.com -> n.com [Never]\na: m.com/x -> (none)\na: m.com/x/y -> n.com [Never]", want: []string{
			"m.com: pending [blocked]", "s.com: pending"}},
		{name: "not a mirror whose name only begins like a blocked one", sets: "a: s.com -> m.com/x\na: m.com/xy -> n.com [Never]", want: []string{
			"s.com: https://m.com/v2/x [digest], https://s.com/v2", "m.com: pending [blocked]"}},
		{name: "not a mirror in an opening", sets: "a: s.com -> m.com/x/y\na: m.com -> n.com [Never]\na: m.com/x -> (none)", want: []string{
			"s.com: https://m.com/v2/x/y [digest], https://s.com/v2", "m.com: pending [blocked]"}},
		{name: "a blocked source whose mirrors are blocked", sets: "a: s.com -> m.com/s, s.com/s [Never]\na: m.com -> n.com [Never]", want: []string{
			"m.com: https://n.com/v2 [digest], https://n.com/v2 [digest]", "s.com: pending [blocked]"}},
		{name: "not an open source whose mirrors are blocked: it has nothing to say", sets: "a: s.com -> m.com/s, s.com, m.com/t\na: *.com -> n.org [Never]\na: s.com -> m.com", want: []string{
			"*.com: pending [blocked]"}},
		{name: "not carve-outs of nothing", sets: "a: s.com -> (none)\na: t.com/x -> (none)\na: *.u.com -> (none)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, "tree", describe(t, project(t, c.sets)), c.want)
		})
	}
}

func TestRulesThatNobodyChecksAreNotWritten(t *testing.T) {
	for _, rule := range []mirrors.Rule{
		{Source: "../../etc", Mirrors: []mirrors.Mirror{{Location: "m.com"}}},
		{Source: "..", Mirrors: []mirrors.Mirror{{Location: "m.com"}}},
		{Source: "", Mirrors: []mirrors.Mirror{{Location: "m.com"}}},
		{Source: "_default", Mirrors: []mirrors.Mirror{{Location: "m.com"}}},
		{Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com\"]\n[host.\"x"}}},
		{Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com"}, {Location: "m.com"}}, Blocked: true},
	} {
		tree := containerd.Project([]mirrors.Rule{rule})
		if len(tree.Files) != 0 || len(tree.Pending) != 1 || tree.Pending[0].Reason == "" || tree.Pending[0].Blocked != rule.Blocked {
			t.Errorf("%+v: got %+v", rule, tree)
		}
	}
}

func TestFoldersAreNamedAsContainerdLooksThemUp(t *testing.T) {
	expect(t, "plain", containerd.Folders("s.com"), []string{"s.com"})
	expect(t, "with a port", containerd.Folders("s.com:5000"), []string{"s.com_5000_", "s.com:5000"})
	for _, f := range project(t, "a: s.com:5000 -> m.com").Files {
		if f.Path != "s.com_5000_/hosts.toml" {
			t.Errorf("got %s", f.Path)
		}
	}
}

func TestReasonsNameWhatIsInTheWay(t *testing.T) {
	tree := project(t, "a: s.com -> m.com\na: s.com/x -> m.com\na: *.t.com -> m.com\na: u.com -> k.com/q\na: k.com/q/x -> m.com [Never]\na: v.com -> mirror [Never]")
	for i, want := range []string{`"*.t.com"`, `"k.com/q/x"`, `"s.com/x"`, `mirror "k.com/q" of source "u.com"`, `"v.com"`} {
		if !strings.Contains(tree.Pending[i].Reason, want) {
			t.Errorf("%s: got %s, want %s", tree.Pending[i].Host, tree.Pending[i].Reason, want)
		}
	}
}
