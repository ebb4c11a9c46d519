// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

const (
	nodesCRD   = "mirrornodes.mirrorset.io"
	proxiesCRD = "proxies.config.openshift.io"
	// apiServersCRD is the other one that OLM looks for.
	apiServersCRD = "apiservers.config.openshift.io"
	olmCRD        = "clusterserviceversions.operators.coreos.com"
	guard         = "mirrorset-agent-guard"
	warnings      = "mirrorset-set-warnings"
)

// takeAway deletes objects by "resource/name", those that there are.
func takeAway(ctx context.Context, names ...string) {
	GinkgoHelper()
	out, err := plane.Kubectl(ctx, append([]string{"delete", "--ignore-not-found", "--wait"}, names...)...).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
}

func crd(ctx context.Context, g Gomega, name string) *apiextensionsv1.CustomResourceDefinition {
	object := &apiextensionsv1.CustomResourceDefinition{}
	g.Expect(admin.Get(ctx, client.ObjectKey{Name: name}, object)).To(Succeed())
	return object
}

// writers are those who own fields of an object, but for its status.
func writers(object client.Object) (names []string) {
	for _, entry := range object.GetManagedFields() {
		if entry.Subresource == "" {
			names = append(names, entry.Manager)
		}
	}
	return names
}

// foreignCRD makes a CRD of somebody else, out of one group and plural.
func foreignCRD(ctx context.Context, name, kind string) {
	GinkgoHelper()
	plural, group, _ := strings.Cut(name, ".")
	keep := true
	object := &apiextensionsv1.CustomResourceDefinition{}
	object.Name = name
	object.Spec = apiextensionsv1.CustomResourceDefinitionSpec{
		Group: group, Scope: apiextensionsv1.ClusterScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: strings.ToLower(kind), Kind: kind, ListKind: kind + "List"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{
			OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &keep},
		}}},
	}
	Expect(admin.Create(ctx, object)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { takeAway(ctx, "crd/"+name) })
	Eventually(func(g Gomega) {
		g.Expect(crd(ctx, g, name).Status.Conditions).To(ContainElement(HaveField("Type", apiextensionsv1.Established)))
	}).Should(Succeed())
}

var _ = Describe("What the manager brings before the agents", func() {
	BeforeEach(func() {
		DeferCleanup(func(ctx SpecContext) { Expect(plane.InstallAll(ctx)).To(Succeed()) })
	})

	It("are the CRDs and the policies, on a cluster that has but config/default", long, func(ctx SpecContext) {
		takeAway(ctx, "crd/"+kinds.Digest.CRDName(), "crd/"+nodesCRD,
			"validatingadmissionpolicy/"+guard, "validatingadmissionpolicy/"+warnings,
			"validatingadmissionpolicybinding/"+guard, "validatingadmissionpolicybinding/"+warnings)
		Expect(plane.Install(ctx)).To(Succeed())
		manager := startManager(ctx, alone)
		Expect(plane.AwaitSets(ctx)).To(Succeed())
		n := newNode()
		startAgent(ctx, n)
		s := set("a", entry("quay.io", "m1.local"))
		Eventually(func() error { return admin.Create(ctx, s) }).Should(Succeed())
		n.wantRules(s)
		Eventually(func(g Gomega) {
			binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
			g.Expect(admin.Get(ctx, client.ObjectKey{Name: guard}, binding)).To(Succeed())
			g.Expect(binding.OwnerReferences).To(HaveLen(1))
			g.Expect(binding.OwnerReferences[0].Kind + "/" + binding.OwnerReferences[0].Name).To(Equal("Namespace/" + controlplane.Namespace))
			g.Expect(admin.Get(ctx, client.ObjectKey{Name: warnings}, binding)).To(Succeed())
			g.Expect(crd(ctx, g, nodesCRD).Labels).To(HaveKeyWithValue("app.kubernetes.io/part-of", "mirrorset"))
			g.Expect(crd(ctx, g, kinds.Digest.CRDName()).Labels).To(HaveKeyWithValue("app.kubernetes.io/part-of", "mirrorset"))
		}).Should(Succeed())

		By("putting back a policy that somebody changed or deleted")
		policy := &admissionregistrationv1.ValidatingAdmissionPolicy{}
		Expect(admin.Get(ctx, client.ObjectKey{Name: guard}, policy)).To(Succeed())
		good := policy.Spec.DeepCopy()
		policy.Spec.FailurePolicy = new(admissionregistrationv1.Ignore)
		Expect(admin.Update(ctx, policy)).To(Succeed())
		takeAway(ctx, "validatingadmissionpolicybinding/"+guard)
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKey{Name: guard}, policy)).To(Succeed())
			g.Expect(policy.Spec).To(Equal(*good))
			g.Expect(admin.Get(ctx, client.ObjectKey{Name: guard}, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{})).To(Succeed())
		}, "2m").Should(Succeed())

		By("and nothing of OLM's")
		Expect(apierrors.IsNotFound(admin.Get(ctx, client.ObjectKey{Name: proxiesCRD}, &apiextensionsv1.CustomResourceDefinition{}))).To(BeTrue())
		Expect(manager.Log()).NotTo(ContainSubstring("Reconciler error"))
	})

	It("are the CRDs of its own version, once", long, func(ctx SpecContext) {
		short := func() {
			GinkgoHelper()
			Expect(retry.RetryOnConflict(retry.DefaultRetry, func() error {
				old := crd(ctx, Default, kinds.Digest.CRDName())
				old.Spec.Names.ShortNames = []string{"old"}
				old.Spec.Versions[0].AdditionalPrinterColumns = nil
				return admin.Update(ctx, old)
			})).To(Succeed())
		}
		short()
		manager := startManager(ctx, alone)
		Eventually(func(g Gomega) {
			now := crd(ctx, g, kinds.Digest.CRDName())
			g.Expect(now.Spec.Names.ShortNames).To(ConsistOf("idms"))
			g.Expect(now.Spec.Versions[0].AdditionalPrinterColumns).NotTo(BeEmpty())
		}).Should(Succeed())
		Eventually(manager.Log).Should(ContainSubstring(`"controller":"operand"`))
		short() // as a later manager may
		generation := crd(ctx, Default, kinds.Digest.CRDName()).Generation
		takeAway(ctx, "validatingadmissionpolicybinding/"+guard)
		Eventually(func() error {
			return admin.Get(ctx, client.ObjectKey{Name: guard}, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{})
		}, "2m").Should(Succeed()) // so it has looked again, which it does every minute
		Expect(crd(ctx, Default, kinds.Digest.CRDName()).Generation).To(Equal(generation))
	})

	It("are never over a CRD of OpenShift, by whatever way they are installed", func(ctx SpecContext) {
		takeAway(ctx, "crd/"+kinds.Digest.CRDName())
		openShifts, err := os.ReadFile("testdata/openshift-idms-crd.yaml")
		Expect(err).NotTo(HaveOccurred())
		object := &apiextensionsv1.CustomResourceDefinition{}
		Expect(yaml.UnmarshalStrict(openShifts, object)).To(Succeed())
		Expect(admin.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { takeAway(ctx, "crd/"+kinds.Digest.CRDName()) })
		Eventually(func(g Gomega) {
			g.Expect(crd(ctx, g, kinds.Digest.CRDName()).Status.Conditions).To(ContainElement(HaveField("Type", apiextensionsv1.Established)))
		}).Should(Succeed())
		before := crd(ctx, Default, kinds.Digest.CRDName())

		for _, args := range [][]string{{"apply", "-k", "config/default"}, {"apply", "--server-side", "--force-conflicts", "-k", "config/default"}} {
			out, err := plane.Kubectl(ctx, args...).CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
		}
		Expect(writers(crd(ctx, Default, kinds.Digest.CRDName()))).To(Equal(writers(before)))
		out, err := plane.Kubectl(ctx, "label", "crd/"+kinds.Digest.CRDName(), "app.kubernetes.io/part-of=mirrorset").CombinedOutput() // as kubectl apply -k config/crd would
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		before = crd(ctx, Default, kinds.Digest.CRDName())
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		s := set("a", entry("quay.io", "m1.local"))
		create(ctx, s)
		n.wantRules(s)
		Eventually(manager.Log).Should(ContainSubstring("Leaving the CRD as it is"))
		after := crd(ctx, Default, kinds.Digest.CRDName())
		// The API server itself goes on writing the status for a while.
		Expect(after.Spec).To(Equal(before.Spec))
		Expect(after.Generation).To(Equal(before.Generation))
		Expect(after.Labels).To(Equal(before.Labels))
		Expect(after.Annotations).To(Equal(before.Annotations))
		Expect(writers(after)).To(Equal(writers(before)))
	})

	It("wait for nobody's CRD that takes its time to go, and are made anew once it is gone", func(ctx SpecContext) {
		s := set("a", entry("quay.io", "m1.local"))
		s.Finalizers = []string{"example.org/held"}
		create(ctx, s)
		release := func(ctx context.Context) error {
			return client.IgnoreNotFound(admin.Patch(ctx, s, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))
		}
		DeferCleanup(func(ctx SpecContext) { Expect(release(ctx)).To(Succeed()) })
		object := &apiextensionsv1.CustomResourceDefinition{}
		object.Name = kinds.Digest.CRDName()
		Expect(admin.Delete(ctx, object)).To(Succeed())
		takeAway(ctx, "crd/"+nodesCRD, "--namespace="+controlplane.Namespace)
		takeAway(ctx, "--namespace="+controlplane.Namespace, "daemonset/"+operand.AgentName)
		manager := startManager(ctx, alone)
		Eventually(manager.Log).Should(ContainSubstring("the manager creates it again when it is gone"))
		Eventually(func(g Gomega) {
			g.Expect(crd(ctx, g, nodesCRD).UID).NotTo(BeEmpty())
			g.Expect(admin.Get(ctx, client.ObjectKey{Namespace: controlplane.Namespace, Name: operand.AgentName}, &appsv1.DaemonSet{})).To(Succeed())
		}).Should(Succeed())
		Expect(release(ctx)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(crd(ctx, g, kinds.Digest.CRDName()).DeletionTimestamp).To(BeNil())
		}, "2m").Should(Succeed())
	})

	It("is the CRDs that OLM looks for, where there is an OLM", func(ctx SpecContext) {
		foreignCRD(ctx, olmCRD, "ClusterServiceVersion")
		DeferCleanup(func(ctx SpecContext) { takeAway(ctx, "crd/"+proxiesCRD, "crd/"+apiServersCRD) })
		startManager(ctx, alone)
		for _, name := range []string{proxiesCRD, apiServersCRD} {
			Eventually(func(g Gomega) {
				g.Expect(crd(ctx, g, name).Status.Conditions).To(ContainElement(HaveField("Type", apiextensionsv1.Established)))
			}).Should(Succeed())
			Expect(crd(ctx, Default, name).Labels).To(And(HaveKeyWithValue("app.kubernetes.io/part-of", "mirrorset"), HaveKeyWithValue("app.kubernetes.io/component", "olm")))
			out, err := plane.Kubectl(ctx, "get", name, "-o", "name").CombinedOutput()
			Expect(err).NotTo(HaveOccurred())
			Expect(string(out)).To(BeEmpty())
		}
	})

	It("is not one of those CRDs where there is one already", func(ctx SpecContext) {
		foreignCRD(ctx, olmCRD, "ClusterServiceVersion")
		DeferCleanup(func(ctx SpecContext) { takeAway(ctx, "crd/"+apiServersCRD) })
		foreignCRD(ctx, proxiesCRD, "Proxy")
		before := crd(ctx, Default, proxiesCRD)
		takeAway(ctx, "validatingadmissionpolicybinding/"+guard)
		manager := startManager(ctx, alone)
		Eventually(func() error {
			return admin.Get(ctx, client.ObjectKey{Name: guard}, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{})
		}).Should(Succeed())
		Consistently(func(g Gomega) { g.Expect(crd(ctx, g, proxiesCRD).Generation).To(Equal(before.Generation)) }, "1s").Should(Succeed())
		Expect(crd(ctx, Default, proxiesCRD).Labels).To(BeEmpty())
		Expect(manager.Log()).NotTo(ContainSubstring(proxiesCRD)) // nor was it tried
	})
})
