// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os"
	"regexp"
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
	}, NodeTimeout(5*time.Minute))

	It("leaves no file on the node and nothing in the cluster, with kubectl mirrors uninstall", func(ctx SpecContext) {
		s.kubectl(ctx, "apply", "-f", "testdata/olm-crd.yaml")
		DeferCleanup(func(ctx SpecContext) { s.kubectl(ctx, "delete", "-f", "testdata/olm-crd.yaml") })
		Expect(s.killPods(ctx, "manager")).To(Succeed()) // the next one looks for OLM at once
		s.kubectl(ctx, "wait", "--for=create", "--timeout=60s", "crd/proxies.config.openshift.io")
		Expect(s.forbidden(ctx)).To(BeEmpty())
		started := time.Now()
		out := run(s.shell(ctx, "kubectl mirrors uninstall"))
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
		Expect(names).To(Equal([]string{"lock", "payload.json"}))

		image, digest := newImage(ctx)
		s.source.push(ctx, "app", image)
		s.expectPulled(ctx, s.source.host+"/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.source.name}))
	}, nodeTimeout)

	It("leaves what was in force, when all is deleted without that, until the documented command", func(ctx SpecContext) {
		Expect(s.forbidden(ctx)).To(BeEmpty())
		old := s.files()
		s.kubectl(ctx, "delete", "-f", "../../dist/install.yaml")
		crds := s.kubectl(ctx, "get", "customresourcedefinitions", "-o", "name", "-l", "app.kubernetes.io/part-of=mirrorset")
		Expect(strings.Fields(crds)).To(HaveLen(2)) // and with them the sets, which belong to whoever wrote them
		s.kubectl(ctx, append([]string{"delete"}, strings.Fields(crds)...)...)
		installed = nil
		s.expectNothingInCluster(ctx)
		Expect(s.files()).To(Equal(old))
		image, digest := newImage(ctx)
		s.source.push(ctx, "app", image)
		s.mirror.push(ctx, "app", image)
		s.expectPulled(ctx, s.source.host+"/app"+digest)
		s.expectUntouched(s.source, s.second)

		document, err := os.ReadFile("../../docs/uninstall.md")
		Expect(err).NotTo(HaveOccurred())
		line := regexp.MustCompile("(?m)^rm -f /etc/containers/registries.conf.d/50-mirrorset.conf.* /var/lib/mirrorset/[*]$").FindString(string(document))
		Expect(line).NotTo(BeEmpty())
		out, err := s.Exec(ctx, "bash", "-c", line)
		Expect(err).NotTo(HaveOccurred())
		AddReportEntry("the documented command says", strings.TrimSpace(out), ReportEntryVisibilityAlways)
		Expect(s.files()).To(BeEmpty())
		Expect(s.Path(certsFolder(s.source.host))).NotTo(BeADirectory())
		Expect(s.Path("/var/lib/mirrorset/payload.json")).NotTo(BeAnExistingFile())
	}, nodeTimeout)
})

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
