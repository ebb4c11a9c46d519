// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

var _ = Describe("Files of others on the node", func() {
	const theirs = dropIns + "/10-theirs.conf"
	var (
		n     *node
		agent *controlplane.Process
		s     *configv1.ImageDigestMirrorSet
	)
	BeforeEach(func(ctx SpecContext) {
		n = newNode()
		startManager(ctx, alone)
		agent = startAgent(ctx, n)
		s = set("a", entry("ghcr.io", "m1.local/g"), entry("quay.io/a", "m1.local/q"))
		create(ctx, s)
		n.wantRules(s)
	})
	table := func(prefix, rest string) string {
		return "[[registry]]\nprefix = \"" + prefix + "\"\nlocation = \"" + prefix + "\"\n" + rest
	}
	// without returns the drop-in with nothing but the rules that are left; these are written without their origin.
	only := func(source string) string {
		var kept []mirrors.Rule
		for _, rule := range mergedWith(nil, s) {
			if string(rule.Source) == source {
				kept = append(kept, mirrors.Rule{Source: rule.Source, Mirrors: rule.Mirrors})
			}
		}
		text, err := registriesconf.Encode(kept)
		Expect(err).NotTo(HaveOccurred())
		return string(text)
	}

	DescribeTable("that block a scope take our rules in it away, for as long as they do", func(path string) {
		n.put(path, table("quay.io", "blocked = true\n"))
		Eventually(n.rules, soon).Should(Equal(only("ghcr.io")))
		Eventually(agent.Log).Should(SatisfyAll(ContainSubstring("LocalBlock"), ContainSubstring(`source \"quay.io/a\" is not in force`)))
		n.put(path, table("quay.io", ""))
		Eventually(n.rules, soon).Should(Equal(rendered(s)))
		n.put(path, table("quay.io", "blocked = true\n")+table("ghcr.io", "blocked = true\n"))
		Eventually(n.rules, soon).Should(BeEmpty())
		n.remove(path)
		Eventually(n.rules, soon).Should(Equal(rendered(s)))
	},
		Entry("in a drop-in before ours", theirs),
		Entry("in a drop-in after ours", dropIns+"/99-theirs.conf"),
		Entry("in a dot file", dropIns+"/.theirs.conf"),
		Entry("in the base file", "etc/containers/registries.conf"),
		Entry("in a folder that was not there", "etc/containers/registries.rootful.conf.d/1.conf"),
	)

	It("that shadow, or are shadowed, are reported", func() {
		n.put(theirs, table("quay.io", "insecure = true\n")+table("ghcr.io", ""))
		Eventually(agent.Log, soon).Should(SatisfyAll(
			ContainSubstring(`hides insecure = true, which /etc/containers/registries.conf.d/10-theirs.conf sets for \"quay.io\"`),
			ContainSubstring(`source \"ghcr.io\" replaces the [[registry]] table`)))
		n.put(dropIns+"/99-theirs.conf", table("ghcr.io", ""))
		Eventually(agent.Log, soon).Should(ContainSubstring("99-theirs.conf on this node is read after the drop-in of Mirrorset"))
		n.keepsRules(s)
	})

	It("that are broken are reported, and keep nothing back", func(ctx SpecContext) {
		n.put(theirs, "[[registry")
		Eventually(agent.Log, soon).Should(SatisfyAll(ContainSubstring("LocalBroken"), ContainSubstring("/"+theirs+" is broken")))
		change(ctx, s, entry("quay.io", "m2.local"))
		n.wantRules(s)
		n.put(theirs, table("quay.io", "blocked = true\n"))
		Eventually(n.rules, soon).Should(BeEmpty())
	})
})
