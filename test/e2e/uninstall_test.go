// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("taking Mirrorset away", func() {
	var s *scene

	BeforeEach(func(ctx SpecContext) {
		s = newScene(ctx)
		s.apply(ctx, []string{s.mirror.host}, never("30-airgap", s.source.host, s.mirror.host), set("20-global", s.second.host+"/team", s.mirror.host))
		Expect(s.files()).To(HaveLen(3))
	}, setUpTimeout)

	It("leaves no file on the node and nothing in the cluster, with kubectl mirrors uninstall", func(ctx SpecContext) {
		s.kubectl(ctx, "apply", "-f", "testdata/olm-crd.yaml")
		DeferCleanup(func(ctx SpecContext) { s.kubectl(ctx, "delete", "-f", "testdata/olm-crd.yaml") })
		Expect(s.killPods(ctx, "manager")).To(Succeed()) // the next one looks for OLM at once
		got := map[string]int{}
		for _, name := range []string{"proxies.config.openshift.io", "apiservers.config.openshift.io"} {
			s.kubectl(ctx, "wait", "--for=create", kubectlTimeout, "crd/"+name)
			got[name] = s.managerGot(name)
		}
		// By this change, it looks at all once more, and finds them.
		s.kubectl(ctx, "patch", "daemonset", "-n", namespace, "mirrorset-agent", "--type=merge", "-p", `{"spec": {"minReadySeconds": 1}}`)
		for name, before := range got {
			Eventually(s.managerGot).WithArguments(name).WithContext(ctx).WithTimeout(convergeTimeout).Should(BeNumerically(">", before), name)
		}
		Expect(s.forbidden(ctx)).To(BeEmpty())
		started := time.Now()
		out := run(s.shell(ctx, "kubectl mirrors uninstall --yes"))
		reportTime("it took", started)
		installed = nil
		AddReportEntry("kubectl mirrors uninstall says", out, ReportEntryVisibilityAlways)
		Expect(s.remains()).To(BeEmpty())
		s.expectNothingInCluster(ctx)
		state, err := os.ReadDir(s.Path("/var/lib/mirrorset"))
		Expect(err).NotTo(HaveOccurred())
		var names []string
		for _, entry := range state {
			names = append(names, entry.Name())
		}
		Expect(names).To(Equal([]string{"lock"}))

		image, digest := newImage(ctx)
		s.source.push(ctx, "app", image)
		s.expectPulled(ctx, s.source.host+"/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.source.name}))
	}, nodeTimeout)
})

// uninstallTries is how often a spec uninstalls in each way; $UNINSTALL_TRIES asks for more.
func uninstallTries() int {
	if tries, err := strconv.Atoi(os.Getenv("UNINSTALL_TRIES")); err == nil {
		return tries
	}
	return 1
}

// everything deletes what there may be of Mirrorset.
const (
	manifests  = "kubectl delete --ignore-not-found -f ../../dist/install.yaml"
	everything = manifests + "; kubectl delete --ignore-not-found crd,validatingadmissionpolicies,validatingadmissionpolicybindings -l app.kubernetes.io/part-of=mirrorset"
)

// Whatever way it is taken away by, and in whatever order, an agent that still runs leaves a clean node: the registries that only it kept
// usable are open again.
var _ = Describe("a node with blocked sources, when Mirrorset is deleted without a pause", func() {
	DescribeTable("is clean once the agent has ended:", func(ctx SpecContext, script string) {
		for range uninstallTries() {
			s := newScene(ctx)
			s.apply(ctx, []string{s.mirror.host}, never("30-airgap", s.source.host, s.mirror.host), never("40-team", s.second.host+"/team", s.mirror.host))
			started := time.Now()
			run(s.shell(ctx, "set -e; "+script))
			installed = nil
			s.expectAgentGoneFromCleanNode(ctx)
			reportTime("the agent had ended after", started)
			run(s.shell(ctx, everything))
			s.expectNothingInCluster(ctx)
			for _, r := range []*countedRegistry{s.source, s.mirror, s.second} {
				r.stop()
			}
		}
	},
		Entry("by the manifests", manifests, SpecTimeout(40*time.Minute)),
		Entry("by the namespace alone", "kubectl delete namespace mirrorset-system", SpecTimeout(40*time.Minute)),
		Entry("by the manager's Deployment alone", "kubectl delete -n mirrorset-system deployment mirrorset-manager", SpecTimeout(40*time.Minute)),
		Entry("with the rights in the cluster first", "kubectl delete clusterrolebinding,clusterrole -l app.kubernetes.io/part-of=mirrorset; kubectl delete namespace mirrorset-system", SpecTimeout(40*time.Minute)),
		Entry("with the CRDs first", "kubectl delete crd -l app.kubernetes.io/part-of=mirrorset; "+manifests, SpecTimeout(40*time.Minute)),
		Entry("by the documented commands", "kubectl delete imagedigestmirrorsets,imagetagmirrorsets --all; kubectl mirrors nodes --watch --timeout=60s; "+manifests, SpecTimeout(40*time.Minute)),
		Entry("by kubectl mirrors uninstall", "kubectl mirrors uninstall --yes", SpecTimeout(40*time.Minute)),
	)
})

// expectAgentGoneFromCleanNode waits until the agent has ended, and wants the registries open by then.
func (s *scene) expectAgentGoneFromCleanNode(ctx context.Context) {
	GinkgoHelper()
	s.kubectl(ctx, "wait", "--for=delete", kubectlTimeout, "-n", namespace, "pods", "-l", "app.kubernetes.io/component=agent")
	Expect(s.remains()).To(BeEmpty())
	Expect(s.Path("/var/lib/mirrorset/payload.json")).NotTo(BeAnExistingFile())
	image, digest := newImage(ctx)
	s.source.push(ctx, "app", image)
	s.second.push(ctx, "team/app", image)
	s.expectPulled(ctx, s.source.host+"/app"+digest)
	_, err := s.Exec(ctx, "ctr", "--namespace", "k8s.io", "images", "pull", "--hosts-dir", certsDir, "--plain-http", s.second.host+"/team/app"+digest)
	Expect(err).NotTo(HaveOccurred())
}

var _ = Describe("a node whose agent was gone before Mirrorset was deleted", func() {
	It("keeps what was in force until the documented command, and can take Mirrorset's own image meanwhile", func(ctx SpecContext) {
		s := newSite(ctx)
		s.source = s.registryOfHTTPS("source")
		s.apply(ctx, []string{mirrored("source")}, never("30-airgap", s.source.host+"/team", s.first.host))
		DeferCleanup(func(ctx SpecContext) {
			s.kubectl(ctx, "label", "node", "--all", "mirrorset.io/agent-")
		}, cleanUpTimeout)
		s.kubectl(ctx, "label", "node", "--all", "mirrorset.io/agent=disabled")
		s.kubectl(ctx, "wait", "--for=delete", kubectlTimeout, "-n", namespace, "pods", "-l", "app.kubernetes.io/component=agent")
		old := s.files()
		run(s.shell(ctx, everything))
		installed = nil
		s.expectNothingInCluster(ctx)
		Expect(s.files()).To(Equal(old))

		// The registry is behind a redirector that is gone. By its port it is another one for containerd.
		image, digest := newImage(ctx)
		s.source.push(ctx, "mirrorset/mirrorset", image)
		s.expectRefused(ctx, s.source.host+"/mirrorset/mirrorset"+digest)
		s.expectPulled(ctx, s.source.host+":443/mirrorset/mirrorset"+digest)

		document, err := os.ReadFile("../../docs/how-to/uninstall.md")
		Expect(err).NotTo(HaveOccurred())
		line := regexp.MustCompile("(?m)^rm -f /etc/containers/registries.conf.d/50-mirrorset.conf.* /var/lib/mirrorset/[*]$").FindString(string(document))
		Expect(line).NotTo(BeEmpty())
		out, err := s.Exec(ctx, "bash", "-c", line)
		Expect(err).NotTo(HaveOccurred())
		AddReportEntry("the documented command says", strings.TrimSpace(out), ReportEntryVisibilityAlways)
		Expect(s.files()).To(BeEmpty())
		Expect(s.Path(certsFolder(s.source.host))).NotTo(BeADirectory())
		Expect(s.Path("/var/lib/mirrorset/payload.json")).NotTo(BeAnExistingFile())
		image, digest = newImage(ctx)
		s.source.push(ctx, "mirrorset/mirrorset", image)
		s.expectPulled(ctx, s.source.host+"/mirrorset/mirrorset"+digest)
	}, nodeTimeout)
})

// registryOfHTTPS starts one at the port of HTTPS, so that its name needs none.
func (s *site) registryOfHTTPS(name string) *countedRegistry {
	GinkgoHelper()
	certificate, err := s.Certificate(name + ".site.test")
	Expect(err).NotTo(HaveOccurred())
	r := newRegistry(name, "127.0.0.1:443", s.seen)
	r.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	r.server.StartTLS()
	r.host = name + ".site.test"
	return r
}

// expectNothingInCluster wants that the cluster has nothing of Mirrorset any more, or soon. A namespace goes after the Pods in it have
// ended, and the policies go after the namespace.
func (m *operator) expectNothingInCluster(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		for _, kind := range []string{"namespaces", "customresourcedefinitions", "clusterroles", "clusterrolebindings", "validatingadmissionpolicies", "validatingadmissionpolicybindings"} {
			names, err := m.Kubectl(ctx, "get", kind, "-o", "name").Output()
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(names)).NotTo(Or(ContainSubstring("mirrorset"), ContainSubstring("imagedigest"), ContainSubstring("config.openshift.io"), ContainSubstring("idms")), kind)
		}
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(time.Second).Should(Succeed())
}
