// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/hack/bundle/olm"
	"github.com/mirrorset/mirrorset/test/bundle"
)

// dist/install.yaml is what all other specs are installed by.
var _ = Describe("Mirrorset that was installed", func() {
	BeforeEach(func(ctx SpecContext) {
		if m := installed; m != nil {
			run(m.shell(ctx, "kubectl mirrors uninstall --yes"))
			installed = nil
		}
	}, setUpTimeout)

	// begin installs it in a way of its own, for the scene that follows.
	begin := func(ctx SpecContext, install func(ctx context.Context, m *operator)) *scene {
		GinkgoHelper()
		m := &operator{Cluster: node(ctx), hosts: freeHosts(3), tag: "e2e"}
		m.importImage(ctx)
		started := time.Now()
		install(ctx, m)
		m.expectReady(ctx)
		reportTime("Mirrorset was installed and ready after", started)
		installed = m
		return newScene(ctx)
	}
	expectMainJob := func(ctx SpecContext, s *scene) {
		GinkgoHelper()
		s.apply(ctx, []string{s.mirror.host}, never("30-airgap", s.source.host, s.mirror.host))
		image, digest := newImage(ctx)
		s.mirror.push(ctx, "app", image)
		s.expectPulled(ctx, s.source.host+"/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.mirror.name}))
		s.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "imagedigestmirrorsets", "--all")
		Expect(s.forbidden(ctx)).To(BeEmpty())
	}

	It("by Helm does the main job, and goes as a whole", func(ctx SpecContext) {
		s := begin(ctx, func(ctx context.Context, m *operator) {
			m.helm(ctx, "install", "mirrorset", "charts/mirrorset", "--namespace", namespace, "--create-namespace",
				"--set", fmt.Sprintf("image.repository=%s,image.tag=%s,insecureRegistries={%s}", imageName, m.tag, strings.Join(m.hosts, ",")))
		})
		expectMainJob(ctx, s)
		s.helm(ctx, "test", "mirrorset", "--namespace", namespace)
		for _, object := range []string{"pod", "serviceaccount", "role", "rolebinding"} {
			Expect(s.kubectl(ctx, "-n", namespace, "get", object, "mirrorset-test", "--ignore-not-found")).To(BeEmpty())
		}
		out := run(s.shell(ctx, "kubectl mirrors uninstall --yes"))
		rest := regexp.MustCompile(`(?m)^The rest is Helm's[.] To delete it: helm (.*) && (kubectl .*)$`).FindStringSubmatch(out)
		Expect(rest).To(HaveLen(3), out)
		s.helm(ctx, strings.Fields(rest[1])...)
		run(s.shell(ctx, rest[2]))
		installed = nil
		Expect(s.remains()).To(BeEmpty())
		s.expectNothingInCluster(ctx)
	}, nodeTimeout)

	It("by Helm is taken off the node by Helm alone", func(ctx SpecContext) {
		for range uninstallTries() {
			s := begin(ctx, func(ctx context.Context, m *operator) {
				m.helm(ctx, "install", "mirrorset", "charts/mirrorset", "--namespace", namespace, "--create-namespace",
					"--set", fmt.Sprintf("image.repository=%s,image.tag=%s,insecureRegistries={%s}", imageName, m.tag, strings.Join(m.hosts, ",")))
			})
			s.apply(ctx, []string{s.mirror.host}, never("30-airgap", s.source.host, s.mirror.host), never("40-team", s.second.host+"/team", s.mirror.host))
			s.helm(ctx, "uninstall", "--namespace", namespace, "mirrorset")
			installed = nil
			s.expectAgentGoneFromCleanNode(ctx)
			run(s.shell(ctx, everything))
			s.expectNothingInCluster(ctx)
			for _, r := range []*countedRegistry{s.source, s.mirror, s.second} {
				r.stop()
			}
		}
	}, SpecTimeout(40*time.Minute))

	It("by what the OLM bundle says does the main job, and goes as the documents say", func(ctx SpecContext) {
		var olmInstaller *bundle.Installer
		s := begin(ctx, func(ctx context.Context, m *operator) {
			m.kubectl(ctx, "apply", "-f", "testdata/olm-crd.yaml")
			released, err := olm.Load(os.DirFS("../.."))
			Expect(err).NotTo(HaveOccurred())
			admin, err := client.New(m.Config, client.Options{})
			Expect(err).NotTo(HaveOccurred())
			olmInstaller = &bundle.Installer{
				Client: admin, Namespace: namespace, Bundle: released,
				Env:    []corev1.EnvVar{{Name: "MIRRORSET_INSECURE_REGISTRY", Value: strings.Join(m.hosts, ",")}},
				Change: func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = imageName + ":" + m.tag },
			}
			olmInstaller.Install(ctx)
		})
		DeferCleanup(func(ctx SpecContext) { s.kubectl(ctx, "delete", "-f", "testdata/olm-crd.yaml") }, cleanUpTimeout)
		expectMainJob(ctx, s)
		out, err := s.shell(ctx, "kubectl mirrors uninstall --yes").CombinedOutput()
		Expect(err).To(HaveOccurred(), "%s", out)
		documented(ctx, s, "kubectl delete imagedigestmirrorsets", "kubectl mirrors nodes")
		Eventually(s.remains).WithContext(ctx).WithTimeout(convergeTimeout).Should(BeEmpty())
		olmInstaller.Remove(ctx)
		s.kubectl(ctx, "get", "crd", "proxies.config.openshift.io", "apiservers.config.openshift.io")
		documented(ctx, s, "kubectl delete clusterrole", "kubectl delete crd")
		s.kubectl(ctx, "apply", "-f", "../integration/testdata/openshift-idms-crd.yaml")
		documented(ctx, s, "crds=", "[ -z")
		s.kubectl(ctx, "get", "crd", "proxies.config.openshift.io", "apiservers.config.openshift.io") // which OLM needs as long as the other is there
		s.kubectl(ctx, "delete", "-f", "../integration/testdata/openshift-idms-crd.yaml")
		documented(ctx, s, "crds=", "kubectl delete namespace")
		installed = nil
		s.expectNothingInCluster(ctx)
		Expect(s.remains()).To(BeEmpty())
	}, nodeTimeout)
})

// documented runs lines of what docs/how-to/install.md says uninstalls what OLM installed, from the first that begins as the one says to the first
// after it that begins as the other does.
func documented(ctx context.Context, s *scene, from, to string) {
	GinkgoHelper()
	lines := strings.Split(uninstallByOLM(), "\n")
	begins := func(prefix string) func(string) bool {
		return func(line string) bool { return strings.HasPrefix(line, prefix) }
	}
	first := slices.IndexFunc(lines, begins(from))
	Expect(first).To(BeNumerically(">", 0), "docs/how-to/install.md has %q", from)
	last := slices.IndexFunc(lines[first:], begins(to))
	Expect(last).To(BeNumerically(">", 0), "docs/how-to/install.md has %q after %q", to, from)
	settings := slices.IndexFunc(lines, begins("kubectl"))
	run(s.shell(ctx, strings.Join(append(lines[:settings:settings], lines[first:first+last+1]...), "\n")))
}

// helm runs Helm in the folder of the checkout.
func (m *operator) helm(ctx context.Context, args ...string) {
	GinkgoHelper()
	cmd := exec.CommandContext(ctx, "bin/helm", args...)
	cmd.Dir = "../.."
	home := GinkgoT().TempDir() // and not the one of whoever runs the tests
	cmd.Env = append(m.Kubectl(ctx).Env, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	run(cmd)
}
