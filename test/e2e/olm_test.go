// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// `make test-olm` runs these alone, because OLM's programs take long to build.
var _ = Describe("Mirrorset under a real OLM", Ordered, Label("olm"), func() {
	const from, to = "v0.1.0", "v0.2.0"
	var (
		l            *lifecycle
		m            *operator
		older, newer string
		install      func(ctx context.Context, catalog, version string)
		gone         func(ctx context.Context)
	)

	BeforeAll(func(ctx SpecContext) {
		l = startOLM(ctx)
		m = &operator{Cluster: l.Cluster, hosts: freeHosts(3)}
		for _, version := range []string{from, to} {
			m.importRelease(ctx, version)
		}
		checkout := copyCheckout()
		older, newer = l.release(ctx, checkout, from), l.release(ctx, checkout, to)
		install = func(ctx context.Context, catalog, version string) {
			GinkgoHelper()
			started := time.Now()
			cmd := m.Kubectl(ctx, "apply", "-f", "-")
			cmd.Stdin = strings.NewReader(documentedObjects(catalog, strings.Join(m.hosts, ",")))
			run(cmd)
			m.tag = version
			l.expectSucceeded(ctx, version)
			m.expectReady(ctx)
			installed = m
			reportTime("OLM had installed Mirrorset after", started)
		}
		gone = func(ctx context.Context) {
			GinkgoHelper()
			if installed == nil {
				return
			}
			run(m.shell(ctx, uninstallByOLM()))
			installed = nil
		}
		DeferCleanup(func(ctx SpecContext) { gone(ctx) }, cleanUpTimeout)
	}, NodeTimeout(15*time.Minute))

	AfterEach(func() {
		if CurrentSpecReport().Failed() && l != nil {
			AddReportEntry("OLM's last words", l.Logs(80), ReportEntryVisibilityFailureOrVerbose)
		}
	})

	inForce := func(ctx context.Context) *scene {
		GinkgoHelper()
		s := newScene(ctx)
		s.apply(ctx, []string{s.mirror.host}, never("30-airgap", s.source.host, s.mirror.host), never("40-team", s.second.host+"/team", s.mirror.host))
		return s
	}
	expectServed := func(ctx context.Context, s *scene) {
		GinkgoHelper()
		image, digest := newImage(ctx)
		s.mirror.push(ctx, "app", image)
		s.expectPulled(ctx, s.source.host+"/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.mirror.name}))
	}

	It("is installed as the document says, does the main job, and is upgraded with blocked sources closed throughout", func(ctx SpecContext) {
		install(ctx, older, from)
		s := inForce(ctx)
		expectServed(ctx, s)
		refused := s.pullsWhatIsBlocked(ctx)
		started := time.Now()
		s.kubectl(ctx, "patch", "catalogsource", "-n", olmNamespace, "mirrorset", "--type=merge", "-p", `{"spec": {"image": "`+newer+`"}}`)
		m.tag = to
		l.expectSucceeded(ctx, to)
		s.expectReady(ctx)
		reportTime("OLM had upgraded Mirrorset after", started)
		AddReportEntry("pulls of what is blocked that were refused meanwhile", refused(), ReportEntryVisibilityAlways)
		expectServed(ctx, s)
		Expect(s.kubectl(ctx, "get", "daemonset", "-n", namespace, "mirrorset-agent", "-o", "jsonpath={.spec.template.spec.containers[0].image}")).To(Equal(imageName + ":" + to))
	}, SpecTimeout(25*time.Minute)) // which has to build two releases first

	It("leaves OLM at work when that is started again, without errors about CRDs of OpenShift", func(ctx SpecContext) {
		s := inForce(ctx)
		s.kubectl(ctx, "get", "crd", "proxies.config.openshift.io", "apiservers.config.openshift.io")
		l.end()
		l.start()
		s.kubectl(ctx, "delete", "deployment", "-n", namespace, "mirrorset-manager") // which OLM makes again
		s.kubectl(ctx, "wait", "--for=create", "--timeout=120s", "-n", namespace, "deployment/mirrorset-manager")
		s.expectReady(ctx)
		s.expectFollowed(ctx, []string{s.mirror.host})
		time.Sleep(30 * time.Second) // in which an OLM without these CRDs says so several times
		Expect(l.logged("config.openshift.io")).NotTo(ContainElement(Or(ContainSubstring("could not find the requested resource"), ContainSubstring("Failed to watch"))))
	}, nodeTimeout)

	It("is uninstalled as the document says, without a pause, and leaves a clean node on which it can be installed again", func(ctx SpecContext) {
		for range uninstallTries() {
			s := inForce(ctx)
			started := time.Now()
			run(s.shell(ctx, uninstallByOLM()))
			installed = nil
			reportTime("the documented commands took", started)
			s.expectAgentGoneFromCleanNode(ctx)
			s.expectNothingInCluster(ctx)
			for _, r := range []*countedRegistry{s.source, s.mirror, s.second} {
				r.stop()
			}
			install(ctx, newer, to)
		}
		expectServed(ctx, inForce(ctx))
	}, SpecTimeout(40*time.Minute))
})

// expectSucceeded waits until OLM calls a version installed.
func (l *lifecycle) expectSucceeded(ctx context.Context, version string) {
	GinkgoHelper()
	name := "clusterserviceversion/mirrorset." + version
	run(l.Kubectl(ctx, "wait", "--for=create", "--timeout=180s", "-n", namespace, name))
	run(l.Kubectl(ctx, "wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s", "-n", namespace, name))
}

// uninstallByOLM is what docs/how-to/install.md says, as one script.
func uninstallByOLM() string {
	GinkgoHelper()
	text, err := os.ReadFile("../../docs/how-to/install.md")
	Expect(err).NotTo(HaveOccurred())
	_, section, _ := strings.Cut(string(text), "\n### Uninstall with OLM\n")
	_, block, _ := strings.Cut(section, "\n```bash\n")
	script, _, found := strings.Cut(block, "\n```\n")
	Expect(found).To(BeTrue(), "docs/how-to/install.md has commands that uninstall what OLM installed")
	return "set -e\n" + script
}
