// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"os"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// An agent cleans its node when it ends because Mirrorset is uninstalled, and never else (docs/adr/0016). The real node has the specs
// about namespaces, which nobody ends here.
var _ = Describe("An agent that is told to end", func() {
	var (
		n     *node
		s     *configv1.ImageDigestMirrorSet
		agent *controlplane.Process
	)
	const hosts = "etc/containerd/certs.d/quay.io/hosts.toml"

	BeforeEach(func(ctx SpecContext) {
		n = newNode()
		n.put("etc/containerd/certs.d/foreign.example/hosts.toml", "server = \"https://foreign.example\"\n")
		s = set("a", configv1.ImageDigestMirrors{Source: "quay.io", Mirrors: []configv1.ImageMirror{"m.local"}, MirrorSourcePolicy: configv1.NeverContactSource})
		create(ctx, s)
		startManager(ctx, alone)
		agent = startAgent(ctx, n, "--manager="+operand.ManagerName)
		n.wantRules(s)
		Eventually(n.path).WithArguments(hosts).Should(BeAnExistingFile())
		DeferCleanup(func(ctx SpecContext) { Expect(plane.Install(ctx)).To(Succeed()) })
	})

	expectKept := func() {
		GinkgoHelper()
		Expect(n.rules()).To(Equal(rendered(s)))
		Expect(n.path(hosts)).To(BeAnExistingFile())
		Expect(n.path(stateDir + "/payload.json")).To(BeAnExistingFile())
	}
	expectClean := func() {
		GinkgoHelper()
		Expect(n.rules()).To(BeEmpty())
		Expect(n.path("etc/containerd/certs.d/quay.io")).NotTo(BeADirectory())
		Expect(n.path("etc/containerd/certs.d/foreign.example/hosts.toml")).To(BeAnExistingFile())
		left, err := os.ReadDir(n.path(stateDir))
		Expect(err).NotTo(HaveOccurred())
		Expect(left).To(HaveLen(1)) // the lock
	}
	deleteManager := func(ctx context.Context) {
		GinkgoHelper()
		Expect(admin.Delete(ctx, &appsv1.Deployment{ObjectMeta: managerMeta}, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
	}
	forbid := func(ctx context.Context) {
		GinkgoHelper()
		Expect(admin.Delete(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: "mirrorset-agent"}})).To(Succeed())
		Eventually(granted).WithArguments(ctx, controlplane.AgentAccount).ShouldNot(ContainElement(HavePrefix("get")))
	}

	It("leaves what is in force while the manager's Deployment is there", func(ctx SpecContext) {
		started := time.Now()
		Expect(agent.Stop()).To(Succeed())
		Expect(time.Since(started)).To(BeNumerically("<", 5*time.Second), "it waits so long only where the Deployment is gone")
		expectKept()
	})

	It("cleans the node once the Deployment is gone, and the next agent follows again", func(ctx SpecContext) {
		deleteManager(ctx)
		Expect(agent.Stop()).To(Succeed())
		expectClean()
		Expect(plane.Install(ctx)).To(Succeed())
		startAgent(ctx, n)
		n.wantRules(s)
	})

	It("leaves what is in force if the Deployment comes back at once", func(ctx SpecContext) {
		deployment, err := appsv1ac.ExtractDeployment(managerDeployment(ctx), "kubectl")
		Expect(err).NotTo(HaveOccurred())
		deleteManager(ctx)
		ended := make(chan error, 1)
		go func() { ended <- agent.Stop() }()
		Consistently(agent.Exited(), "1s").ShouldNot(BeClosed())
		Expect(admin.Apply(ctx, deployment, client.FieldOwner("kubectl"))).To(Succeed())
		Eventually(ended).Should(Receive(BeNil()))
		expectKept()
	})

	It("cleans the node where its rights go first", func(ctx SpecContext) {
		forbid(ctx)
		deleteManager(ctx)
		Expect(agent.Stop()).To(Succeed())
		expectClean()
	})

	It("leaves what is in force where only its rights are gone, and says how to clean the node", func(ctx SpecContext) {
		forbid(ctx)
		Expect(agent.Send(syscall.SIGTERM)).To(Succeed())
		Eventually(agent.Exited()).Should(BeClosed())
		expectKept()
		Expect(agent.Log()).To(ContainSubstring("docs/how-to/uninstall.md"))
	})

	It("leaves what is in force while the API server is away", func(ctx SpecContext) {
		Expect(plane.StopAPIServer()).To(Succeed())
		ended := agent.Stop()
		Expect(plane.StartAPIServer()).To(Succeed())
		Expect(ended).To(Succeed())
		expectKept()
	})

	It("cleans the node after its predecessor, if it was still waiting for that", func(ctx SpecContext) {
		successor := startAgent(ctx, n, "--manager="+operand.ManagerName)
		n.wantWaiting(successor)
		Consistently(successor.Log, "1s").ShouldNot(ContainSubstring("This agent is now the only writer"))
		deleteManager(ctx)
		Expect(successor.Send(syscall.SIGTERM)).To(Succeed())
		time.Sleep(time.Second)
		Expect(agent.Stop()).To(Succeed())
		Eventually(successor.Exited()).Should(BeClosed())
		expectClean()
	})
})

var managerMeta = metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: operand.ManagerName}
