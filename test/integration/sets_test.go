// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

var _ = Describe("The file on the node", func() {
	It("follows sets that are created, changed and deleted, and is not there without rules", func(ctx SpecContext) {
		n := startNode(ctx)
		Eventually(published).WithContext(ctx).Should(HaveField("Text", BeEquivalentTo(registriesconf.Header)))
		n.keepsRules()

		a, b := set("a", entry("quay.io", "m1.local/q")), set("b", entry("quay.io", "m2.local/q"), entry("*.s.com", "m.local"))
		create(ctx, a, b)
		n.wantRules(a, b)
		Expect(n.rules()).To(SatisfyAll(
			ContainSubstring("[[registry]]\nlocation = \"quay.io\"\n"), ContainSubstring("prefix = \"*.s.com\""),
			MatchRegexp(`(?s)location = "m1.local/q".*location = "m2.local/q"`), ContainSubstring("digest-only")))

		change(ctx, a, entry("quay.io", "m3.local/q"))
		n.wantRules(a, b)
		Expect(admin.Delete(ctx, b)).To(Succeed())
		n.wantRules(a)
		change(ctx, a)
		n.wantRules()
		change(ctx, a, entry("ghcr.io"))
		n.wantRules(a)
		Expect(admin.Delete(ctx, a)).To(Succeed())
		n.wantRules()
	})

	It("has TLS checks off for what --insecure-registry names", func(ctx SpecContext) {
		n := newNode()
		startManager(ctx, alone, "--insecure-registry", "m1.local:5000", "--insecure-registry", "*.s.com")
		startAgent(ctx, n)
		s := set("a", entry("quay.io", "m1.local:5000/q", "m2.local/q"), entry("a.s.com", "m2.local/s"))
		create(ctx, s)
		want := renderedWith([]string{"m1.local:5000", "*.s.com"}, s)
		Eventually(n.rules).Should(Equal(want))
		Expect(want).To(ContainSubstring("location = \"a.s.com\"\ninsecure = true"))
		Expect(want).To(ContainSubstring("location = \"m1.local:5000/q\"\ninsecure = true"))
		Expect(want).NotTo(ContainSubstring("location = \"m2.local/q\"\ninsecure = true"))
	})

	It("keeps good entries in force beside bad ones", func(ctx SpecContext) {
		relaxCRDs(ctx)
		n := startNode(ctx)
		good := set("good", entry("quay.io", "m1.local/q"))
		create(ctx, good)
		n.wantRules(good)
		bad := set("bad",
			entry("quay.io\"\nblocked = true", "m1.local"), entry("UPPER CASE", "m1.local"), entry("", "m1.local"),
			entry("s.com", "https://m1.local", "m1.local/s"), entry("t.com", "no spaces", "mirror"))
		bad.Spec.ImageDigestMirrors[3].MirrorSourcePolicy = "Sometimes"
		Expect(admin.Create(ctx, bad.DeepCopy())).To(Succeed())
		want := set("bad", entry("s.com", "m1.local/s"))
		n.wantRules(good, want)
		change(ctx, good, entry("quay.io", "m2.local/q"))
		n.wantRules(good, want)
	})

	It("holds 500 sets that come at once", func(ctx SpecContext) {
		n := startNode(ctx)
		sets := make([]*configv1.ImageDigestMirrorSet, 500)
		var creators sync.WaitGroup
		for worker := range 10 {
			creators.Go(func() {
				defer GinkgoRecover()
				for i := worker; i < len(sets); i += 10 {
					sets[i] = set(fmt.Sprintf("set-%03d", i), entry(fmt.Sprintf("s%d.com/x", i), "m1.local/x", "m2.local/x"), entry("quay.io", configv1.ImageMirror(fmt.Sprintf("m%d.local", i))))
					create(ctx, sets[i])
				}
			})
		}
		creators.Wait()
		Eventually(n.rules).Should(Equal(rendered(sets...)))
	})

	It("is right after two sets changed the same source 200 times in turn", func(ctx SpecContext) {
		n := startNode(ctx)
		a, b := set("a", entry("quay.io", "m0.local")), set("b", entry("quay.io", "m0.local"))
		create(ctx, a, b)
		var writers sync.WaitGroup
		for _, s := range []*configv1.ImageDigestMirrorSet{a, b} {
			writers.Go(func() {
				defer GinkgoRecover()
				for i := range 100 {
					change(ctx, s, entry("quay.io", configv1.ImageMirror(fmt.Sprintf("m%d.local", i%7)), configv1.ImageMirror(fmt.Sprintf("%s%d.local", s.Name, i))))
				}
			})
		}
		writers.Wait()
		n.wantRules(a, b)
		n.keepsRules(a, b)
	})
})

// relaxCRDs has the CRDs be somebody else's, which no manager changes, and take anything in a spec, until the spec ends.
func relaxCRDs(ctx context.Context) {
	GinkgoHelper()
	for _, kind := range kinds.All {
		relaxCRD(ctx, kind)
	}
	DeferCleanup(func(ctx SpecContext) {
		Expect(admin.DeleteAllOf(ctx, &configv1.ImageDigestMirrorSet{})).To(Succeed())
		Expect(admin.DeleteAllOf(ctx, &configv1.ImageTagMirrorSet{})).To(Succeed())
	})
}

func relaxCRD(ctx context.Context, kind *kinds.Kind) {
	GinkgoHelper()
	var original []byte
	var labels map[string]string
	edit := func(ctx context.Context, change func(crd *apiextensionsv1.CustomResourceDefinition, schema *apiextensionsv1.JSONSchemaProps)) {
		GinkgoHelper()
		Expect(retry.RetryOnConflict(retry.DefaultRetry, func() error {
			var crd apiextensionsv1.CustomResourceDefinition
			if err := admin.Get(ctx, types.NamespacedName{Name: kind.CRDName()}, &crd); err != nil {
				return err
			}
			change(&crd, crd.Spec.Versions[0].Schema.OpenAPIV3Schema)
			return admin.Update(ctx, &crd)
		})).To(Succeed())
	}
	edit(ctx, func(crd *apiextensionsv1.CustomResourceDefinition, schema *apiextensionsv1.JSONSchemaProps) {
		labels, crd.Labels = crd.Labels, nil
		var err error
		original, err = schema.Marshal()
		Expect(err).NotTo(HaveOccurred())
		spec := schema.Properties["spec"]
		relax(&spec)
		schema.Properties["spec"] = spec
	})
	bad := func(ctx context.Context) error {
		if kind == kinds.Digest {
			return admin.Create(ctx, set("x", entry("UPPER CASE")), client.DryRunAll)
		}
		return admin.Create(ctx, newTagSet("x", configv1.ImageTagMirrors{Source: "UPPER CASE"}), client.DryRunAll)
	}
	Eventually(bad).WithContext(ctx).Should(Succeed()) // the API server takes its time with another schema
	DeferCleanup(func(ctx SpecContext) {
		edit(ctx, func(crd *apiextensionsv1.CustomResourceDefinition, schema *apiextensionsv1.JSONSchemaProps) {
			crd.Labels = labels
			*schema = apiextensionsv1.JSONSchemaProps{}
			Expect(schema.Unmarshal(original)).To(Succeed())
		})
		Eventually(bad).WithContext(ctx).ShouldNot(Succeed())
	})
}

func relax(schema *apiextensionsv1.JSONSchemaProps) {
	schema.Pattern, schema.Enum, schema.MaxLength, schema.MinLength, schema.XListType, schema.XValidations = "", nil, nil, nil, nil, nil
	if schema.Items != nil {
		relax(schema.Items.Schema)
	}
	for name, property := range schema.Properties {
		relax(&property)
		schema.Properties[name] = property
	}
}
