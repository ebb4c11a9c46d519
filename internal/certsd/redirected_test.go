// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd_test

import (
	"testing"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

func TestEachRegistryGoesThroughTheRedirector(t *testing.T) {
	const one, source = "redirector/0 [digest]", "redirector/source"
	for _, c := range []struct {
		name, sets string
		insecure   []string
		want       []string
	}{
		{name: "a source below a host, and the source itself for the rest", sets: "a: s.com/x -> m.com/x", want: []string{"s.com: " + one + ", " + source + ", https://s.com/v2"}},
		{name: "as many ranks as the longest list has mirrors", sets: "a: s.com -> m.com\na: s.com/x -> a.com, b.com, c.com\na: s.com/y -> (none)", want: []string{
			"s.com: " + one + ", redirector/1 [digest], redirector/2 [digest], redirector/source, https://s.com/v2"}},
		{name: "a host with a blocked source below, whose rest the redirector sends to the source",
			sets: "a: s.com -> m.com\na: s.com/x -> m.com/x [Never]", want: []string{"s.com: " + one + ", redirector/source"}},
		{name: "a blocked host with a carve-out below", sets: "a: s.com -> m.com [Never]\na: s.com/x -> (none)", want: []string{"s.com: " + one + ", redirector/source"}},
		{name: "Docker Hub", sets: "a: docker.io/library -> m.com", want: []string{"docker.io: " + one + ", " + source + ", https://registry-1.docker.io/v2"}},
		{name: "an insecure host", sets: "a: s.com/x -> m.com", insecure: []string{"s.com"}, want: []string{
			"s.com: " + one + ", " + source + ", https://s.com/v2 [any certificate], http://s.com/v2"}},
		{name: "a host that is insecure in part only", sets: "a: s.com/x -> m.com\na: s.com/y -> m.com", insecure: []string{"s.com/x"}, want: []string{
			"s.com: " + one + ", " + source + ", https://s.com/v2"}},
		{name: "a wildcard that is insecure", sets: "a: *.s.com -> m.com", insecure: []string{"*.s.com"}, want: []string{
			"_default: " + one + ", " + source + ", itself"}},
		{name: "a registry with a mirror that not every name can be rewritten to", sets: "a: s.com -> docker.io, m.com", want: []string{
			"s.com: " + one + ", redirector/1 [digest], redirector/source, https://s.com/v2"}},
		{name: "a loopback host", sets: "a: localhost:5000/x -> m.com", want: []string{
			"localhost:5000: " + one + ", " + source + ", https://localhost:5000/v2 [any certificate], http://localhost:5000/v2"}},
		{name: "a wildcard, and not the host below it that has mirrors of its own", sets: "a: *.s.com -> m.com, n.com\na: a.s.com -> n.com", want: []string{
			"_default: " + one + ", redirector/1 [digest], redirector/source, itself", "a.s.com: " + one + ", " + source + ", https://n.com/v2 [digest], https://a.s.com/v2"}},
		{name: "what is below a wildcard but in none of the host's sources", sets: "a: *.s.com -> m.com, n.com\na: a.s.com/x -> n.com", want: []string{
			"_default: " + one + ", redirector/1 [digest], redirector/source, itself", "a.s.com: " + one + ", redirector/1 [digest], redirector/source, https://a.s.com/v2"}},
		{name: "carve-outs of a wildcard, which need no file", sets: "a: *.s.com -> m.com\na: a.s.com/x -> (none)\na: b.s.com -> (none)", want: []string{
			"_default: " + one + ", " + source + ", itself"}},
		{name: "a host below a wildcard that is blocked", sets: "a: *.s.com -> m.com [Never]\na: a.s.com/x -> n.com", want: []string{
			"a.s.com: " + one + ", redirector/source", "*.s.com: pending [blocked]"}},
		{name: "a mirror that is blocked in part", sets: "a: s.com -> m.com, n.com\na: m.com/x -> n.com [Never]", want: []string{
			"m.com: " + one + ", redirector/source", "s.com: " + one + ", redirector/1 [digest], redirector/source, https://s.com/v2"}},
		{name: "a mirror that is blocked in part, among blocked sources with names like its own",
			sets: "a: s.com -> m.com\na: m.com-x.org -> n.com [Never]\na: m.com.x -> n.com [Never]\na: m.com/x -> n.com [Never]", want: []string{
				"m.com-x.org: " + one + ", " + source + ", https://n.com/v2 [digest]", "m.com.x: " + one + ", " + source + ", https://n.com/v2 [digest]",
				"m.com: " + one + ", redirector/source", "s.com: " + one + ", " + source + ", https://s.com/v2"}},
		{name: "a blocked mirror with an opening", sets: "a: s.com -> m.com, n.com\na: m.com -> n.com [Never]\na: m.com/x -> (none)", want: []string{
			"m.com: " + one + ", redirector/source", "s.com: " + one + ", redirector/1 [digest], redirector/source, https://s.com/v2"}},
		{name: "not a mirror whose name only begins like a blocked one", sets: "a: s.com -> m.com/x\na: m.com/xy -> n.com [Never]", want: []string{
			"m.com: " + one + ", redirector/source", "s.com: " + one + ", " + source + ", https://m.com/v2/x [digest], https://s.com/v2"}},
		{name: "not a mirror in an opening", sets: "a: s.com -> m.com/x/y\na: m.com -> n.com [Never]\na: m.com/x -> (none)", want: []string{
			"m.com: " + one + ", redirector/source", "s.com: " + one + ", " + source + ", https://m.com/v2/x/y [digest], https://s.com/v2"}},
		{name: "a blocked source whose mirrors are blocked", sets: "a: s.com -> m.com/s, s.com/s [Never]\na: m.com -> n.com [Never]", want: []string{
			"m.com: " + one + ", " + source + ", https://n.com/v2 [digest]", "s.com: " + one + ", redirector/1 [digest], redirector/source"}},
		{name: "an open source whose mirrors are blocked, or cannot exist", sets: "a: s.com -> m.com/s\na: t.com -> x.invalid\na: *.com -> n.org [Never]", want: []string{
			"s.com: " + one + ", " + source + ", https://s.com/v2", "t.com: " + one + ", " + source + ", https://t.com/v2", "*.com: pending [blocked]"}},
		{name: "a registry that hosts.toml can say all about, which it says behind", sets: "a: s.com -> m.com, n.com/q", want: []string{
			"s.com: " + one + ", redirector/1 [digest], " + source + ", https://m.com/v2 [digest], https://n.com/v2/q [digest], https://s.com/v2"}},
		{name: "the same, blocked", sets: "a: s.com -> m.com, n.com [Never]", want: []string{
			"s.com: " + one + ", redirector/1 [digest], " + source + ", https://m.com/v2 [digest], https://n.com/v2 [digest]"}},
		{name: "the same with one mirror, which need not be asked twice", sets: "a: s.com -> m.com [Never]", want: []string{
			"s.com: " + one + ", " + source + ", https://m.com/v2 [digest]"}},
		{name: "the same for tags", sets: "D a: s.com -> m.com\nT a: s.com -> m.com", want: []string{
			"s.com: redirector/0, " + source + ", https://m.com/v2 [no push], https://s.com/v2"}},
		{name: "the same with an insecure mirror and source", sets: "a: s.com -> m.com", insecure: []string{"s.com", "m.com"}, want: []string{
			"s.com: " + one + ", " + source + ", https://m.com/v2 [any certificate] [digest], http://m.com/v2 [digest], https://s.com/v2 [any certificate], http://s.com/v2"}},
		{name: "the same on loopback", sets: "a: localhost:5000 -> m.com", want: []string{
			"localhost:5000: " + one + ", " + source + ", https://m.com/v2 [digest], https://localhost:5000/v2 [any certificate], http://localhost:5000/v2"}},
		{name: "not an insecure source without mirrors, of which there is nothing to tell", sets: "a: s.com -> (none)", insecure: []string{"s.com"}, want: []string{
			"s.com: https://s.com/v2 [any certificate], http://s.com/v2"}},
		{name: "a blocked source without usable mirrors", sets: "a: s.com -> mirror [Never]", want: []string{"s.com: " + one + ", " + source}},
		{name: "one whose mirrors cannot exist, so that the user reads why", sets: "a: s.com -> blocked.invalid, x.invalid:5000/y [Never]", want: []string{
			"s.com: " + one + ", redirector/1 [digest], " + source}},
		{name: "not carve-outs of nothing", sets: "a: s.com -> (none)\na: t.com/x -> (none)\na: *.u.com -> (none)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, "tree", describe(t, project(t, c.sets, c.insecure...)), c.want)
		})
	}
}

func TestABlockedWildcardIsForNodesThatAllowForIt(t *testing.T) {
	const sets = "a: *.s.com -> m.com [Never]\na: *.t.com -> m.com, n.com\na: *.u.com -> (none)"
	expect(t, "not allowed", describe(t, project(t, sets)), []string{"_default: redirector/0 [digest], redirector/1 [digest], redirector/source, itself", "*.s.com: pending [blocked]"})
	expect(t, "allowed", describe(t, projectOn(t, certsd.Node{Redirector: redirector, AllowDefaultHost: true}, sets)),
		[]string{"_default: redirector/0 [digest], redirector/1 [digest], redirector/source"})
}

func TestAWatchedSourceIsReachedThroughTheRedirector(t *testing.T) {
	watching := func(sources ...mirrors.Scope) certsd.Node {
		return certsd.Node{Redirector: redirector, Watched: sources}
	}
	const first = "redirector/0 [digest], redirector/source, "
	wildcard := watching("*.s.com")
	wildcard.AllowDefaultHost = true
	certificates := watching("s.com/x", "t.com", "*.u.com")
	certificates.Certificates = func(string) certsd.Certificates { return certsd.Certificates{CA: []string{"ca.crt"}} }
	for _, c := range []struct {
		name, sets string
		node       certsd.Node
		insecure   []string
		want       []string
	}{
		{name: "without a rule (E4)", node: watching("s.com/x", "docker.io", "localhost:5000"), want: []string{
			"docker.io: " + first + "https://registry-1.docker.io/v2", "localhost:5000: " + first + "https://localhost:5000/v2 [any certificate], http://localhost:5000/v2",
			"s.com: " + first + "https://s.com/v2"}},
		{name: "a wildcard without a rule", node: wildcard, want: []string{"_default: " + first + "itself"}},
		{name: "not such a wildcard on a node that blocks none", node: watching("*.s.com"), sets: "a: *.t.com -> m.com [Never]", want: []string{"*.t.com: pending [blocked]"}},
		{name: "a wildcard with mirrors, on a node that blocks none", node: watching("*.s.com"), sets: "a: *.s.com -> m.com", want: []string{"_default: " + first + "itself"}},
		{name: "not a carve-out of a wildcard, which goes by the default host", node: wildcard, sets: "a: a.s.com/x -> (none)", want: []string{"_default: " + first + "itself"}},
		{name: "a carve-out", node: watching("s.com"), sets: "a: s.com -> (none)", want: []string{"s.com: " + first + "https://s.com/v2"}},
		{name: "an insecure source without mirrors", node: watching("s.com"), sets: "a: s.com -> (none)", insecure: []string{"s.com"}, want: []string{
			"s.com: " + first + "https://s.com/v2 [any certificate], http://s.com/v2"}},
		{name: "with mirrors", node: watching("s.com"), sets: "a: s.com -> m.com", want: []string{"s.com: " + first + "https://m.com/v2 [digest], https://s.com/v2"}},
		{name: "beside certificates", node: certificates, sets: "a: s.com/y -> m.com\na: t.com -> m.com\na: a.u.com -> m.com\na: v.com -> m.com\na: w.com/x -> m.com", want: []string{
			"a.u.com: " + first + "https://m.com/v2 [digest], https://a.u.com/v2 [ca.crt] []", "s.com: " + first + "https://s.com/v2 [ca.crt] []",
			"t.com: " + first + "https://m.com/v2 [digest], https://t.com/v2 [ca.crt] []",
			"v.com: https://m.com/v2 [digest], https://v.com/v2 [ca.crt] []", "w.com: redirector/0 [digest], https://w.com/v2 [ca.crt] []"}},
		{name: "not what is no source, as somebody may have written it", node: watching("../../etc", "", "..", "_default", "s.com/X", "https://s.com")},
		{name: "not without a redirector", node: certsd.Node{Watched: []mirrors.Scope{"s.com", "t.com/x", "*.u.com"}}, sets: "a: s.com -> m.com", want: []string{
			"s.com: https://m.com/v2 [digest], https://s.com/v2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, "tree", describe(t, projectOn(t, c.node, c.sets, c.insecure...)), c.want)
		})
	}
}

func TestWithoutARedirectorOnlyWhatHostsTOMLCanSayIsWritten(t *testing.T) {
	tree := projectOn(t, certsd.Node{AllowDefaultHost: true}, "a: s.com -> m.com\na: t.com/x -> m.com\na: t.com/y -> m.com [Never]\na: *.u.com -> m.com\na: *.v.com -> m.com [Never]")
	expect(t, "tree", describe(t, tree), []string{"s.com: https://m.com/v2 [digest], https://s.com/v2", "*.u.com: pending", "*.v.com: pending [blocked]", "t.com: pending [blocked]"})
	expect(t, "folders", []string{tree.Pending[0].Folder(), tree.Pending[2].Folder(), certsd.Pending{Host: "s.com:1"}.Folder()}, []string{"_default", "t.com", "s.com_1_"})
}

func TestWithoutARedirectorASourceStaysClosedByMirrorsThatCannotExist(t *testing.T) {
	tree := projectOn(t, certsd.Node{}, "a: s.com -> blocked.invalid [Never]")
	expect(t, "tree", describe(t, tree), []string{"s.com: https://blocked.invalid/v2 [digest], https://blocked.invalid/v2 [digest]"})
}

func TestAMirrorThatHostsTOMLCannotSayAllAboutIsStreamed(t *testing.T) {
	node := certsd.Node{Redirector: redirector, Streamed: func(mirror mirrors.Scope) bool { return mirror == "m.com:5000" || mirror == "m.com:5000/q" }}
	expect(t, "tree", describe(t, projectOn(t, node, "a: s.com -> m.com:5000/q\na: t.com -> m.com/q\na: u.com -> m.com:5000 [Never]")), []string{
		"s.com: redirector/0 [digest], redirector/source, https://s.com/v2", "t.com: redirector/0 [digest], redirector/source, https://m.com/v2/q [digest], https://t.com/v2",
		"u.com: redirector/0 [digest], redirector/source"})
}
