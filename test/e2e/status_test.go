// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"os"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/test/cluster"
)

var _ = Describe("the status of sets and nodes", func() {
	var s *scene

	BeforeEach(func(ctx SpecContext) {
		s = newScene(ctx)
	}, setUpTimeout)

	It("says that a set is in force, and where", func(ctx SpecContext) {
		started := time.Now()
		s.apply(ctx, []string{s.mirror.host, s.second.host, s.source.host}, set("20-global", s.source.host, s.mirror.host, s.second.host+"/x"))
		s.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms/20-global")
		reportTime("kubectl wait --for=condition=Applied returned after", started)
		Expect(s.kubectl(ctx, "get", "idms")).To(MatchRegexp(`NAME +SOURCES +MIRRORS +ACCEPTED +APPLIED +AGE\n20-global +1 +2 +True +True +`))
		Expect(s.kubectl(ctx, "get", "mirrornodes")).To(MatchRegexp(`NAME +RUNTIME +REVISION +APPLIED +AGE\n` + cluster.NodeName + ` +containerd +\d{13} +True +`))
		Expect(s.kubectl(ctx, "get", "idms/20-global", "-o", "jsonpath={.status.conditions[?(@.type==\"Applied\")].message}")).To(HavePrefix("in force: every node"))
		Eventually(func() string { return s.kubectl(ctx, "get", "events.events.k8s.io", "-A") }).WithContext(ctx).WithTimeout(convergeTimeout).Should(MatchRegexp(`AppliedOnAllNodes +imagedigestmirrorset/20-global`))
	}, nodeTimeout)

	It("says what is not in force on the node, and only of the set concerned", func(ctx SpecContext) {
		remove := s.putTheirs(s.source.host)
		s.apply(ctx, []string{"theirs.example"}, set("10-foreign", s.source.host, s.mirror.host), set("20-good", s.second.host, s.mirror.host))
		s.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms/20-good")
		s.kubectl(ctx, "wait", "--for=condition=Applied=false", kubectlTimeout, "idms/10-foreign")
		Eventually(func() string { return s.kubectl(ctx, "describe", "idms/10-foreign") }).WithContext(ctx).WithTimeout(convergeTimeout).
			Should(And(ContainSubstring("NodesFailing"), ContainSubstring("in force on 0 of 1 nodes; failing: "+cluster.NodeName+" (registry "+s.source.host)))
		Expect(s.kubectl(ctx, "get", "mirrornodes", "-o", "wide")).To(And(ContainSubstring("False"), ContainSubstring("is not a file of Mirrorset")))

		remove()
		s.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms/10-foreign")
		Expect(s.kubectl(ctx, "get", "mirrornodes")).To(MatchRegexp(cluster.NodeName + ` +containerd +\d{13} +True `))
	}, nodeTimeout)

	It("says that a set is lost where somebody else's file takes the place of ours, and that it is back", func(ctx SpecContext) {
		s.apply(ctx, []string{s.mirror.host, s.source.host}, set("10-lost", s.source.host, s.mirror.host), set("20-good", s.second.host, s.mirror.host))
		s.kubectl(ctx, "wait", "--for=condition=Ready", kubectlTimeout, "idms", "--all")
		remove := s.putTheirs(s.source.host)
		s.kubectl(ctx, "wait", "--for=condition=Applied=false", kubectlTimeout, "idms/10-lost")
		Expect(s.kubectl(ctx, "get", "idms/10-lost", "-o", "jsonpath={.status.conditions[?(@.type==\"Ready\")].reason} {.status.conditions[?(@.type==\"Ready\")].message}")).
			To(And(HavePrefix("Degraded every node had it in force, but now 1 node has not: "+cluster.NodeName+" (registry "+s.source.host), ContainSubstring(certsFolder(s.source.host)+"/hosts.toml is not a file of Mirrorset")))
		Expect(s.kubectl(ctx, "get", "idms/20-good", "-o", "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}")).To(Equal("True"))
		Eventually(func() string { return s.kubectl(ctx, "get", "events.events.k8s.io", "-A") }).WithContext(ctx).WithTimeout(convergeTimeout).Should(MatchRegexp(`Degraded +imagedigestmirrorset/10-lost`))

		remove()
		s.kubectl(ctx, "wait", "--for=condition=Ready", kubectlTimeout, "idms/10-lost")
		Eventually(func() string { return s.kubectl(ctx, "get", "events.events.k8s.io", "-A") }).WithContext(ctx).WithTimeout(convergeTimeout).Should(MatchRegexp(`Recovered +imagedigestmirrorset/10-lost`))
	}, nodeTimeout)

	It("says what the node's runtime needs", func(ctx SpecContext) {
		config := s.Path("/etc/containerd/config.toml")
		good, err := os.ReadFile(config)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(os.WriteFile, config, good, os.FileMode(0o644))
		put(config, strings.Replace(string(good), `config_path = "/etc/containerd/certs.d"`, "", 1))
		s.apply(ctx, []string{s.mirror.host, s.source.host}, set("20-global", s.source.host, s.mirror.host))
		s.kubectl(ctx, "wait", "--for=condition=RuntimeReady=false", kubectlTimeout, "mirrornode/"+cluster.NodeName)
		s.kubectl(ctx, "wait", "--for=condition=Applied=false", kubectlTimeout, "idms/20-global")
		Expect(s.kubectl(ctx, "describe", "mirrornode", cluster.NodeName)).To(ContainSubstring(`config_path = "/etc/containerd/certs.d"`))
		Expect(os.WriteFile(config, good, 0o644)).To(Succeed())
		s.kubectl(ctx, "wait", "--for=condition=RuntimeReady", kubectlTimeout, "mirrornode/"+cluster.NodeName)
		s.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms/20-global")
	}, nodeTimeout)

	It("says which entries are left out", func(ctx SpecContext) {
		s.apply(ctx, []string{s.source.host}, set("20-global", s.source.host+"/team", "mirror", s.mirror.host))
		s.kubectl(ctx, "wait", "--for=condition=Accepted=false", kubectlTimeout, "idms/20-global")
		s.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms/20-global")
		Expect(s.kubectl(ctx, "get", "idms/20-global", "-o", "jsonpath={.status.findings[0].reason} {.status.findings[0].entry}")).To(Equal("InvalidMirror 0"))
	}, nodeTimeout)
})

// putTheirs puts somebody else's file where containerd looks first for a registry. It is removed at the end of the spec at the latest, and its folder
// is left to the agent, which writes there at once.
func (s *scene) putTheirs(host string) (remove func()) {
	GinkgoHelper()
	file := s.Path(certsFolder(host) + "/hosts.toml")
	put(file, "server = \"https://theirs.example\"\n")
	remove = sync.OnceFunc(func() {
		GinkgoHelper()
		Expect(os.Remove(file)).To(Succeed())
	})
	DeferCleanup(remove)
	return remove
}
