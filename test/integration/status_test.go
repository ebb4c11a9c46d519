// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"os"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/kinds"
)

// varying is what is another one each time: ages, revisions, and the width of their columns.
var varying = regexp.MustCompile(`\b(\d+[smh])+\b|\b\d{13}\b`)

// normal makes two prints of one state the same.
func normal(text string) string {
	var lines []string
	for line := range strings.Lines(varying.ReplaceAllString(text, "#")) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

var _ = Describe("docs/reference/status.md", func() {
	It("shows what kubectl prints", func(ctx SpecContext) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{corev1.LabelOSStable: "linux"}}}
		Expect(admin.Create(ctx, node)).To(Succeed())
		node.Status.NodeInfo.ContainerRuntimeVersion = "containerd://2.4.2"
		Expect(admin.Status().Update(ctx, node)).To(Succeed())
		n := newNode()
		config := n.path("etc/containerd/config.toml")
		Expect(os.MkdirAll(n.path("etc/containerd/certs.d"), 0o755)).To(Succeed())
		Expect(os.WriteFile(config, []byte("version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n"), 0o644)).To(Succeed())
		startManager(ctx, alone)
		startAgent(ctx, n)
		for _, args := range [][]string{{"apply", "-f", "config/samples/"}, {"wait", "--for=condition=Applied", "--timeout=60s", "idms", "--all"}} {
			out, err := plane.Kubectl(ctx, args...).CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
		}
		document, err := os.ReadFile("../../docs/reference/status.md")
		Expect(err).NotTo(HaveOccurred())
		blocks := regexp.MustCompile("(?s)```text\n\\$ kubectl ([^\n]*)\n(.*?)```").FindAllStringSubmatch(string(document), -1)
		Expect(blocks).To(HaveLen(2))
		for _, block := range blocks {
			out, err := plane.Kubectl(ctx, strings.Fields(block[1])...).CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
			Expect(normal(string(out))).To(Equal(normal(block[2])), block[1])
		}
	})
})

var _ = Describe("The status of a set", func() {
	It("comes back where somebody else wrote it or took it away", func(ctx SpecContext) {
		startNode(ctx)
		s := set("a", entry("quay.io", "m1.local/q"))
		create(ctx, s)
		said := func() (configv1.MirrorSetStatus, error) {
			err := admin.Get(ctx, client.ObjectKeyFromObject(s), s)
			return s.Status, err
		}
		Eventually(said).Should(HaveField("Conditions", ContainElement(HaveField("Reason", configv1.ReasonAppliedOnAllNodes))))
		before, err := said()
		Expect(err).NotTo(HaveOccurred())
		for _, patch := range []string{`{"status":null}`, `{"status":{"sources":7}}`} {
			Expect(admin.Status().Patch(ctx, s, client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
			Expect(s.Status).NotTo(Equal(before), patch)
			Eventually(said).Should(SatisfyAll(
				HaveField("Revision", before.Revision), HaveField("Sources", before.Sources), HaveField("Conditions", HaveLen(len(before.Conditions)))), patch)
		}
	})
})

var _ = Describe("A CRD that has no room for a status, as OpenShift's", func() {
	It("is left as it is, and the rules are in force all the same", func(ctx SpecContext) {
		install := func(ctx SpecContext) { Expect(plane.InstallAll(ctx)).To(Succeed()) }
		DeferCleanup(install)
		var crd apiextensionsv1.CustomResourceDefinition
		Expect(retry.RetryOnConflict(retry.DefaultRetry, func() error {
			if err := admin.Get(ctx, client.ObjectKey{Name: kinds.Digest.CRDName()}, &crd); err != nil {
				return err
			}
			crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["status"] = apiextensionsv1.JSONSchemaProps{Type: "object"}
			crd.Spec.Versions[0].AdditionalPrinterColumns = nil
			crd.Labels = nil
			return admin.Update(ctx, &crd)
		})).To(Succeed())

		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		for _, s := range []*configv1.ImageDigestMirrorSet{set("a", entry("quay.io", "m1.local/q")), set("b", entry("s.com", "m1.local/s"))} {
			create(ctx, s)
		}
		n.wantRules(set("a", entry("quay.io", "m1.local/q")), set("b", entry("s.com", "m1.local/s")))
		Eventually(manager.Log).Should(ContainSubstring("was not installed by Mirrorset and has no status"))
		Eventually(func(g Gomega) {
			var node mirrorsetv1alpha1.MirrorNode
			g.Expect(admin.Get(ctx, client.ObjectKey{Name: "node-1"}, &node)).To(Succeed())
			g.Expect(node.Status.Revision).NotTo(BeZero())
		}).Should(Succeed())
		Expect(strings.Count(manager.Log(), "was not installed by Mirrorset and has no status")).To(Equal(1))
		var after apiextensionsv1.CustomResourceDefinition
		Expect(admin.Get(ctx, client.ObjectKey{Name: kinds.Digest.CRDName()}, &after)).To(Succeed())
		Expect(after.Generation).To(Equal(crd.Generation))

		install(ctx)
		change(ctx, set("a"), entry("quay.io", "m2.local/q"))
		Eventually(func(g Gomega) {
			var s configv1.ImageDigestMirrorSet
			g.Expect(admin.Get(ctx, client.ObjectKey{Name: "b"}, &s)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(s.Status.Conditions, configv1.ConditionApplied)).To(BeTrue())
		}).Should(Succeed())
	})
})
