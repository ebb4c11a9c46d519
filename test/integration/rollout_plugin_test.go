// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// prints runs "kubectl mirrors", and returns what it prints where it ends with an exit code.
func prints(ctx context.Context, code int, args ...string) string {
	GinkgoHelper()
	out, got := runMirrors(ctx, args...)
	Expect(got).To(Equal(code), "%q: %s", args, out)
	return out
}

// lines are those that a table has below its header, with the words of each.
func lines(table string) (rows [][]string) {
	for line := range strings.Lines(table) {
		rows = append(rows, strings.Fields(line))
	}
	return rows[1:]
}

// bindTo lets a user have a role of Mirrorset's, in its namespace or everywhere.
func bindTo(ctx context.Context, user, role, kind string, more ...string) {
	GinkgoHelper()
	name := user + "-" + role
	out, err := plane.Kubectl(ctx, append([]string{"create", kind, name, "--clusterrole=mirrorset-" + role, "--user=" + user}, more...)...).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	DeferCleanup(func(ctx SpecContext) {
		Expect(plane.Kubectl(ctx, append([]string{"delete", kind, name}, more...)...).Run()).To(Succeed())
	})
}

var _ = Describe("kubectl mirrors rollout", func() {
	inNamespace := "--namespace=" + controlplane.Namespace

	It("pauses, resumes and undoes for who has the shipped roles, and says who did", func(ctx SpecContext) {
		for _, role := range []string{"mirrornode-viewer", "imagedigestmirrorset-viewer", "imagetagmirrorset-viewer"} {
			bindTo(ctx, "jane", role, "clusterrolebinding")
		}
		asJane := func(args ...string) []string { return append(append([]string{"rollout"}, args...), "--as=jane") }
		teller{"node-1": follows, "node-2": follows}.tell(ctx)
		startManager(ctx, alone)
		a := set("a", entry("quay.io", "m1.local"))
		create(ctx, a)
		Eventually(func(g Gomega) { // until the rights are known
			out, code := runMirrors(ctx, asJane("status", "--timeout=60s")...)
			g.Expect(code).To(Equal(0), out)
			g.Expect(out).To(ContainSubstring("The sets are in force on all nodes as they are now: 2 nodes have revision "))
		}).Should(Succeed())
		Expect(prints(ctx, 1, asJane("pause")...)).To(ContainSubstring("you need the rights of ClusterRole mirrorset-rollout-editor in namespace mirrorset-system"))
		bindTo(ctx, "jane", "rollout-editor", "rolebinding", inNamespace)
		Eventually(func(g Gomega) {
			out, code := runMirrors(ctx, asJane("pause", "--reason=no changes before Monday")...)
			g.Expect(code).To(Equal(0), out)
		}).Should(Succeed())
		const paused = `paused by jane at \S+ \(no changes before Monday\)`
		Expect(prints(ctx, 1, asJane("pause")...)).To(MatchRegexp(`error: configmap/containers-registries.conf is already ` + paused))
		change(ctx, a, entry("quay.io", "m2.local"))
		Expect(prints(ctx, 1, asJane("status")...)).To(MatchRegexp("error: the sets are not in force on all nodes as they are now: " + paused + `\. To continue: kubectl mirrors rollout resume`))
		Eventually(conditionOf(ctx, "a", configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonPaused, ContainSubstring("by jane")))
		Expect(prints(ctx, 0, asJane("resume")...)).To(MatchRegexp(`(?s)resumed\nIt was ` + paused + `\.\nNext, the manager publishes the sets as they are`))
		Expect(prints(ctx, 0, asJane("status", "--timeout=60s")...)).To(HaveSuffix(revisionIn(prints(ctx, 0, "nodes")) + " in force.\n"))
		var history [][]string
		Eventually(func(g Gomega) {
			history = lines(prints(ctx, 0, asJane("history")...))
			g.Expect(history).To(HaveLen(2))
		}).Should(Succeed())
		Expect(history[0][3]).To(Equal("<none>"))
		Expect(history[1][3:7]).To(Equal([]string{"AllNodes", "a", "changed", "by"}))
		before, now := history[0][0], history[1][0]

		Expect(prints(ctx, 0, asJane("undo", "--dry-run=server")...)).To(MatchRegexp(`(?s)quay.io +mirrors added, removed +m2.local +m1.local.*rolled back to revision ` + before + ` \(server dry run\)`))
		Expect(prints(ctx, 1, "diff", "--revision", now, "--revision", before, "--as=jane")).NotTo(ContainSubstring("error"))
		Expect(prints(ctx, 0, asJane("undo", "--reason=typo")...)).To(ContainSubstring("rolled back to revision " + before + "\n"))
		cm, err := configMap(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(cm.ManagedFields).To(ContainElement(HaveField("Manager", "kubectl-mirrors")))
		Expect(payload.ReadRollout(cm.Annotations).Undone.By).To(Equal("jane"))
		out := prints(ctx, 1, asJane("status", "--timeout=60s")...)
		Expect(out).To(MatchRegexp(`error: the sets are not in force on all nodes as they are now: rolled back to revision ` + before + ` by jane at \S+ \(typo\)\. Fix the sets, then: kubectl mirrors rollout resume`))
		Expect(out).To(MatchRegexp(`\. 2 nodes have revision \d+ in force\.\n`))
		Eventually(func() [][]string { return lines(prints(ctx, 0, asJane("history")...)) }).Should(ContainElement(HaveExactElements(Not(Equal(before)), HaveSuffix("s"), "1", "AllNodes,UndoneTo", "a", "created", "by", Not(BeEmpty()), HaveSuffix("s"), "ago")))
		Expect(prints(ctx, 1, asJane("undo")...)).To(ContainSubstring("is already rolled back to revision " + before))
		prints(ctx, 0, asJane("resume")...)
		prints(ctx, 0, asJane("status", "--timeout=60s")...)
		Expect(mustPublished(ctx).Text).To(ContainSubstring("m2.local"))

		text, err := plane.Kubectl(ctx, "get", "configmaps", "--as=jane", inNamespace).CombinedOutput()
		Expect(err).To(HaveOccurred(), "%s", text) // the others are none of hers
	})

	It("follows a change from the canaries to all nodes, and ends where one fails", func(ctx SpecContext) {
		a := set("a", entry("quay.io", "m1.local"))
		typo := set("a", entry("quay.io", "m3.local"))
		teller{"canary-1": follows, "canary-2": fails(rendered(typo)), "node-1": follows}.tell(ctx)
		create(ctx, a)
		startManager(ctx, alone, "--canary-selector=canary=yes", "--canary-soak=10s")
		prints(ctx, 0, "rollout", "status", "--timeout=60s")

		change(ctx, a, entry("quay.io", "m2.local"))
		stream := gbytes.NewBuffer()
		status := mirrorsCommand(ctx, "rollout", "status", "--timeout=60s")
		status.Stdout, status.Stderr = stream, stream
		Expect(status.Start()).To(Succeed())
		Eventually(stream).Should(gbytes.Say(`2 canaries try revision \d+: all nodes get it at \S+ if no canary reports trouble\.\n`))
		Expect(prints(ctx, 0, "nodes", "-o", "wide")).To(MatchRegexp(`(?s)canary-1 .* yes .*1 node has revision \d+ in force; 2 canaries try revision \d+ \(2 have it in force\)\.`))
		Expect(prints(ctx, 0, "explain", "quay.io/a:v1")).To(ContainSubstring("warning: NotOnAllNodes: this answer is by the sets as they are now, and not all nodes get them yet: 2 canaries try revision "))
		Expect(status.Wait()).To(Succeed(), "%s", stream.Contents())
		Expect(stream).To(gbytes.Say(`The sets are in force on all nodes as they are now: 3 nodes have revision \d+ in force\.\n$`))

		change(ctx, a, entry("quay.io", "m3.local"))
		out := prints(ctx, 1, "rollout", "status", "--timeout=60s")
		Expect(out).To(MatchRegexp(`error: the sets are not in force on all nodes as they are now: canary canary-2 failed with revision \d+ at \S+, so the other nodes do not get it \(1 image that runs here could not be pulled again\)\. Fix the sets`))
		Expect(prints(ctx, 1, "doctor")).To(MatchRegexp(`PROBLEM  sets: not in force as they are now: canary canary-2 failed`))
		change(ctx, a, entry("quay.io", "m4.local"))
		Expect(prints(ctx, 0, "rollout", "status", "--timeout=60s")).NotTo(ContainSubstring("failed")) // though the status of the set is of before
	})
})
