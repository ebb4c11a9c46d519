// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/test/cluster"
)

// airGap is docs/how-to/air-gapped.md, gone through with a registry that has only what its commands copy there.
type airGap struct {
	*cluster.Cluster
	m            *operator
	registry     *countedRegistry
	seen         *traffic
	page, folder string
	archive      string // of the image
	here         *strings.Replacer
}

// newAirGap begins without Mirrorset and its image on the node, and copies the image to the registry.
func newAirGap(ctx context.Context) *airGap {
	GinkgoHelper()
	c := node(ctx)
	a := &airGap{Cluster: c, m: &operator{Cluster: c}, seen: &traffic{}, page: howTo("air-gapped.md"), folder: filepath.Join(c.Dir(), "airgap")}
	if installed != nil {
		run(a.m.shell(ctx, "kubectl mirrors uninstall --yes"))
		installed = nil
	}
	certificate, err := c.Certificate("first.site.test")
	Expect(err).NotTo(HaveOccurred())
	a.registry = startTLSRegistry("site's registry", "first.site.test", certificate, nil, a.seen)
	a.here = strings.NewReplacer("registry.site.example:5000", a.registry.host)
	DeferCleanup(func(ctx SpecContext) {
		run(a.m.shell(ctx, everything))
		a.m.expectNothingInCluster(ctx)
		Expect(os.RemoveAll(a.folder)).To(Succeed())
	}, cleanUpTimeout)

	// skopeo asks a policy, which its package brings, and the node does not have.
	put(filepath.Join(a.folder, ".config/containers/policy.json"), `{"default": [{"type": "insecureAcceptAnything"}]}`)
	// An image of its own: the kubelet no longer runs an imported image without a pull once it has pulled that image from a registry.
	a.archive = packImage(ctx, "v0.1.0", ".")
	archive, err := os.ReadFile(a.archive)
	Expect(err).NotTo(HaveOccurred())
	put(filepath.Join(a.folder, "mirrorset.tar"), string(archive))
	out, err := a.Exec(ctx, "bash", "-ec", fmt.Sprintf("cd %s; export HOME=$PWD; %s", a.folder, a.here.Replace(blocksOf(a.page, "bash")[0])))
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	AddReportEntry("the commands printed", out)
	Expect(a.digest()).To(HavePrefix("sha256:"))
	Expect(out).To(ContainSubstring(strings.TrimPrefix(a.digest(), "sha256:")+"  -"), "the registry has the digest of the archive")
	return a
}

// digest is the one that is written beside the archive.
func (a *airGap) digest() string {
	GinkgoHelper()
	text, err := os.ReadFile(strings.TrimSuffix(a.archive, ".tar") + ".digest")
	Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(string(text))
}

// expectServed wants Mirrorset to run by the registry's image, and the page's sets to lead there.
func (a *airGap) expectServed(ctx context.Context, image string) {
	GinkgoHelper()
	a.m.kubectl(ctx, "rollout", "status", kubectlTimeout, "-n", namespace, "deployment/mirrorset-manager")
	a.m.kubectl(ctx, "wait", "--for=create", kubectlTimeout, "-n", namespace, "daemonset/mirrorset-agent")
	a.m.kubectl(ctx, "rollout", "status", kubectlTimeout, "-n", namespace, "daemonset/mirrorset-agent")
	Expect(a.m.kubectl(ctx, "get", "pods", "-n", namespace, "-o", "jsonpath={.items[*].spec.containers[0].image}")).To(Equal(image + " " + image))

	cmd := a.m.Kubectl(ctx, "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(a.here.Replace(blocksOf(a.page, "yaml")[0]))
	run(cmd)
	a.m.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms/30-airgap", "itms/30-airgap")
	app, digest := newImage(ctx)
	a.registry.push(ctx, "mirrorset/app", app)
	a.seen.forget()
	expectRunning(ctx, a.Cluster, createPod(ctx, a.Cluster, "ghcr.io/mirrorset/app"+digest, true))
	Expect(a.seen.asked()).To(Equal([]string{a.registry.name}))
}

var _ = Describe("A cluster that reaches nothing but its own registry", func() {
	It("has Mirrorset by Helm after the commands of docs/how-to/air-gapped.md", func(ctx SpecContext) {
		a := newAirGap(ctx)
		a.m.helm(ctx, "package", "charts/mirrorset", "--version", "0.1.0", "--app-version", "v0.1.0", "--destination", a.folder)
		line := strings.TrimSpace(a.here.Replace(blocksOf(a.page, "bash")[1]))
		a.m.helm(ctx, strings.Fields(strings.Replace(line, "mirrorset-0.1.0.tgz", filepath.Join(a.folder, "mirrorset-0.1.0.tgz"), 1))[1:]...)
		a.expectServed(ctx, a.registry.host+"/mirrorset/mirrorset:v0.1.0")
	}, nodeTimeout)

	It("has Mirrorset by the manifests of a release after the commands of docs/how-to/air-gapped.md", func(ctx SpecContext) {
		a := newAirGap(ctx)
		manifests, err := os.ReadFile("../../dist/install.yaml")
		Expect(err).NotTo(HaveOccurred(), "make build-installer")
		named := regexp.MustCompile(`ghcr[.]io/mirrorset/mirrorset:[^\s"]+`) // and by digest in a release
		Expect(named.FindAll(manifests, -1)).NotTo(BeEmpty())
		put(filepath.Join(a.folder, "install.yaml"), string(named.ReplaceAll(manifests, []byte("ghcr.io/mirrorset/mirrorset@"+a.digest()))))
		cmd := a.m.shell(ctx, a.here.Replace(blocksOf(a.page, "bash")[2]))
		cmd.Dir = a.folder
		run(cmd)
		a.expectServed(ctx, a.registry.host+"/mirrorset/mirrorset@"+a.digest())
	}, nodeTimeout)
})
