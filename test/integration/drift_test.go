// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// soon is far less than the minute after which an agent checks the files without news of a change.
const soon = "15s"

var _ = Describe("An agent", func() {
	var (
		n     *node
		agent *controlplane.Process
		s     *configv1.ImageDigestMirrorSet
	)
	prepare := func(ctx context.Context) {
		GinkgoHelper()
		n = newNode()
		startManager(ctx, alone)
		s = set("a", entry("quay.io", "m1.local/q"))
		create(ctx, s)
	}

	It("repairs its files, whatever is done to them", func(ctx SpecContext) {
		prepare(ctx)
		startAgent(ctx, n)
		n.wantRules(s)
		state, err := os.ReadFile(n.path(stateDir + "/payload.json"))
		Expect(err).NotTo(HaveOccurred())
		for range 3 { // what repairs must itself be watched again
			for what, harm := range map[string]func(){
				"edited":    func() { n.put(dropIn, rendered(s)+"# edited\n") },
				"rewritten": func() { n.put(dropIn, rendered(set("x", entry("x.com", "m.local")))) },
				"deleted":   func() { n.remove(dropIn) },
				"moved":     func() { Expect(os.Rename(n.path(dropIn), n.path("etc/moved"))).To(Succeed()) },
				"folder deleted": func() {
					Eventually(func() error { return os.RemoveAll(n.path("etc/containers")) }).Should(Succeed())
				},
				"folder moved": func() {
					Expect(os.Rename(n.path("etc/containers"), filepath.Join(GinkgoT().TempDir(), "moved"))).To(Succeed())
				},
				"unreadable": func() { Expect(os.Chmod(n.path(dropIn), 0o600)).To(Succeed()) },
			} {
				harm()
				Eventually(n.rules, soon).Should(Equal(rendered(s)), what)
				Eventually(func() (os.FileMode, error) {
					info, err := os.Stat(n.path(dropIn))
					if err != nil {
						return 0, err
					}
					return info.Mode(), nil
				}, soon).Should(BeEquivalentTo(0o644), what)
			}
			n.remove(stateDir + "/payload.json")
			Eventually(os.ReadFile, soon).WithArguments(n.path(stateDir + "/payload.json")).Should(Equal(state))
		}
		change(ctx, s, entry("quay.io", "m2.local"))
		n.wantRules(s)
	})

	It("never overwrites what others wrote, and puts its own there once that is gone", func(ctx SpecContext) {
		prepare(ctx)
		n.put(dropIn, "# theirs\n")
		agent = startAgent(ctx, n)
		const refusal = "not written by Mirrorset"
		Eventually(agent.Log).Should(ContainSubstring(refusal))
		change(ctx, s, entry("quay.io", "m2.local"))
		Consistently(n.rules, "1s").Should(Equal("# theirs\n"))
		n.remove(dropIn)
		Eventually(n.rules, soon).Should(Equal(rendered(s)))
		n.put(dropIn, "# theirs again\n")
		Consistently(n.rules, "1s").Should(Equal("# theirs again\n"))
		Expect(strings.Count(agent.Log(), `"error":"`)).To(Equal(2), "each refusal is logged once:\n"+agent.Log())
		Expect(admin.Delete(ctx, s)).To(Succeed())
		Consistently(n.rules, "500ms").Should(Equal("# theirs again\n"))
	})

	It("waits for another one on its host, and takes over from it", func(ctx SpecContext) {
		prepare(ctx)
		agent = startAgent(ctx, n)
		n.wantRules(s)
		second := startAgent(ctx, n)
		impatient := startAgent(ctx, n)
		n.wantWaiting(second)
		n.wantWaiting(impatient)
		Consistently(func() string { return second.Log() + impatient.Log() }, "1s").ShouldNot(ContainSubstring("only writer on this host"))
		Expect(impatient.Stop()).To(Succeed())
		Expect(second.Exited()).NotTo(BeClosed())

		lost := n.guard()
		agent.Kill()
		Eventually(second.Log).Should(ContainSubstring("only writer on this host"))
		change(ctx, s, entry("quay.io", "m2.local"))
		n.wantRules(s)
		Expect(lost()).To(BeEmpty())
		Expect(second.Stop()).To(Succeed())
		n.keepsRules(s)
	})

	It("leaves nothing behind but its file and its state", func(ctx SpecContext) {
		prepare(ctx)
		startAgent(ctx, n)
		n.wantRules(s)
		Expect(admin.Delete(ctx, s)).To(Succeed())
		n.wantRules()
		left, err := filepath.Glob(n.path("*/*/*/*"))
		Expect(err).NotTo(HaveOccurred())
		Expect(left).To(ConsistOf(n.path(stateDir+"/lock"), n.path(stateDir+"/payload.json")))
	})
})
