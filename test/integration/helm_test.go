// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/standing"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// helm runs Helm as an administrator, in the folder of the checkout, and returns what it prints.
func helm(ctx context.Context, args ...string) (string, error) {
	GinkgoHelper()
	root, err := filepath.Abs("../..")
	Expect(err).NotTo(HaveOccurred())
	cmd := exec.CommandContext(ctx, filepath.Join(root, "bin/helm"), args...)
	cmd.Dir = root
	home := filepath.Dir(plane.Kubeconfig) // and not the one of whoever runs the tests
	cmd.Env = append(os.Environ(), "KUBECONFIG="+plane.Kubeconfig, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// mustHelm is for what must not fail.
func mustHelm(ctx context.Context, args ...string) string {
	GinkgoHelper()
	out, err := helm(ctx, args...)
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	return out
}

func managerDeployment(ctx context.Context) *appsv1.Deployment {
	GinkgoHelper()
	d := &appsv1.Deployment{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: controlplane.Namespace, Name: operand.ManagerName}, d)).To(Succeed())
	return d
}

var _ = Describe("The Helm chart", func() {
	const partOf = "--selector=app.kubernetes.io/part-of=mirrorset"

	// Mirrorset is taken off the cluster but for the namespace, which nobody would finalize here, and comes back afterwards.
	BeforeEach(func(ctx SpecContext) {
		takeAway(ctx, "--namespace="+controlplane.Namespace, partOf,
			"crd,validatingadmissionpolicies,validatingadmissionpolicybindings,clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts,services,deployments,networkpolicies")
		DeferCleanup(func(ctx SpecContext) {
			mustHelm(ctx, "uninstall", "mirrorset", "--ignore-not-found", "--namespace", controlplane.Namespace)
			takeAway(ctx, "--namespace="+controlplane.Namespace, "daemonset/"+operand.AgentName) // nobody collects garbage here
			Expect(plane.InstallAll(ctx)).To(Succeed())
		})
	})

	It("is all that the main job needs, and its settings reach the agents", func(ctx SpecContext) {
		notes := mustHelm(ctx, "install", "mirrorset", "charts/mirrorset", "--namespace", controlplane.Namespace, "--set-json",
			`insecureRegistries=["m1.local"],redirectorPort=1289,agentNodeSelector={"a":"b","c":""},agentTolerations=[{"key":"k","operator":"Exists"}],agentMetrics.enabled=true,`+
				`containersDir="/c",containerdCertsDir="/d/e",containerdConfig="/f/g",allowDefaultHost=true,crioReload=true,image.pullSecrets=[{"name":"s"}]`)
		Expect(notes).To(ContainSubstring(standing.AllowAgents(controlplane.Namespace)))

		startManager(ctx, managerDeployment(ctx).Spec.Template.Spec.Containers[0].Args...)
		Expect(plane.AwaitSets(ctx)).To(Succeed())
		n := newNode()
		agent := startAgent(ctx, n)
		s := set("a", entry("quay.io", "m1.local"))
		Eventually(func() error { return admin.Create(ctx, s) }).Should(Succeed())
		Eventually(n.rules).Should(And(ContainSubstring("quay.io"), ContainSubstring("insecure = true")))
		Expect(agent.Log()).NotTo(ContainSubstring("forbidden"))

		daemonSet := &appsv1.DaemonSet{}
		Eventually(func() error {
			return admin.Get(ctx, client.ObjectKey{Namespace: controlplane.Namespace, Name: operand.AgentName}, daemonSet)
		}).Should(Succeed())
		pod := daemonSet.Spec.Template.Spec
		Expect(pod.Containers[0].Args).To(ContainElements("--redirector-port=1289", "--containerd-certs-dir=/d/e", "--containerd-config=/f/g",
			"--allow-default-host=true", "--crio-reload=true", "--metrics-bind-address=:290"))
		Expect(pod.NodeSelector).To(And(HaveKeyWithValue("a", "b"), HaveKeyWithValue("c", "")))
		Expect(pod.Tolerations).To(ConsistOf(corev1.Toleration{Key: "k", Operator: corev1.TolerationOpExists}))
		Expect(pod.ImagePullSecrets).To(ConsistOf(corev1.LocalObjectReference{Name: "s"}))
		Expect(pod.Volumes).To(ContainElement(HaveField("VolumeSource.HostPath.Path", "/c")))
	})

	It("is installed once a cluster, is upgraded, and leaves the CRDs when it is uninstalled", func(ctx SpecContext) {
		readme, err := os.ReadFile("../../charts/mirrorset/README.md")
		Expect(err).NotTo(HaveOccurred())
		_, command, _ := strings.Cut(string(readme), "```sh\nhelm ")
		command, _, _ = strings.Cut(command, "\n```")
		mustHelm(ctx, strings.Fields(command)...)
		for _, second := range []struct{ release, namespace, belongsTo string }{{"other", controlplane.Namespace, "mirrorset"}, {"mirrorset", "default", controlplane.Namespace}} {
			out, err := helm(ctx, "install", second.release, "charts/mirrorset", "--namespace", second.namespace)
			Expect(err).To(HaveOccurred())
			Expect(out).To(MatchRegexp(`"mirrorset-\w+" in namespace ".*" exists and cannot be imported .* current value is "%s"`, second.belongsTo))
		}

		Expect(*managerDeployment(ctx).Spec.Replicas).To(BeEquivalentTo(1))
		policy := client.ObjectKey{Namespace: controlplane.Namespace, Name: operand.ManagerName}
		Expect(admin.Get(ctx, policy, &networkingv1.NetworkPolicy{})).To(Succeed())
		manager := startManager(ctx, alone)
		Expect(plane.AwaitSets(ctx)).To(Succeed())

		mustHelm(ctx, "upgrade", "mirrorset", "charts/mirrorset", "--namespace", controlplane.Namespace, "--set", "replicas=2,networkPolicy.enabled=false,dashboard.enabled=true")
		Expect(*managerDeployment(ctx).Spec.Replicas).To(BeEquivalentTo(2))
		Expect(apierrors.IsNotFound(admin.Get(ctx, policy, &networkingv1.NetworkPolicy{}))).To(BeTrue())
		dashboard := &corev1.ConfigMap{}
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: controlplane.Namespace, Name: "mirrorset-dashboard"}, dashboard)).To(Succeed())
		want, err := os.ReadFile("../../config/grafana/mirrorset.json")
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.TrimSpace(dashboard.Data["mirrorset.json"])).To(Equal(strings.TrimSpace(string(want))))

		manager.Kill()
		mustHelm(ctx, "uninstall", "mirrorset", "--namespace", controlplane.Namespace)
		roles := &rbacv1.ClusterRoleList{}
		Expect(admin.List(ctx, roles, client.MatchingLabels{"app.kubernetes.io/part-of": "mirrorset"})).To(Succeed())
		Expect(roles.Items).To(BeEmpty())
		Expect(crd(ctx, Default, kinds.Digest.CRDName()).Name).To(Equal(kinds.Digest.CRDName()))
	})
})
