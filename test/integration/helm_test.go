// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

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
			`insecureRegistries=["m1.local"],redirectorPort=1289,agent.nodeSelector={"a":"b","c":""},agent.tolerations=[{"key":"k","operator":"Exists"}],agent.metrics.enabled=true,`+
				`containersDir="/c",containerdCertsDir="/d/e",containerdConfig="/f/g",allowDefaultHost=true,crioReload=true,imagePullSecrets=[{"name":"s"}],`+
				`agent.resources={"limits":{"memory":"1Gi"}},agent.priorityClassName="p",agent.podAnnotations={"a":"b, c=d"},agent.updateStrategy={"type":"OnDelete"},logLevel="debug"`)
		Expect(notes).To(ContainSubstring(standing.AllowAgents(controlplane.Namespace)))

		manager := startManager(ctx, managerDeployment(ctx).Spec.Template.Spec.Containers[0].Args...)
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
		Expect(pod.Containers[0].Args).To(ContainElement("--zap-log-level=debug"))
		Expect(pod.Containers[0].Resources).To(Equal(corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}}))
		Expect(pod.PriorityClassName).To(Equal("p"))
		Expect(daemonSet.Spec.Template.Annotations).To(HaveKeyWithValue("a", "b, c=d"))
		Expect(daemonSet.Spec.UpdateStrategy).To(Equal(appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}))

		mustHelm(ctx, "upgrade", "mirrorset", "charts/mirrorset", "--namespace", controlplane.Namespace, "--reset-values")
		manager.Kill()
		startManager(ctx, append(managerDeployment(ctx).Spec.Template.Spec.Containers[0].Args, alone)...)
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(daemonSet), daemonSet)).To(Succeed())
			g.Expect(daemonSet.Spec.UpdateStrategy.RollingUpdate).To(HaveValue(HaveField("MaxSurge", HaveValue(Equal(intstr.FromString("10%"))))))
			g.Expect(daemonSet.Spec.Template.Annotations).NotTo(HaveKey("a"))
			g.Expect(daemonSet.Spec.Template.Spec.Containers[0].Resources.Requests).NotTo(BeEmpty())
			g.Expect(daemonSet.Spec.Template.Spec.PriorityClassName).To(Equal("system-node-critical"))
		}).Should(Succeed())
		Expect(pod.Volumes).To(ContainElement(HaveField("VolumeSource.HostPath.Path", "/c")))
	})

	It("has a test that fails while something is missing, and may read no more than it looks at", func(ctx SpecContext) {
		const test = "mirrorset-test"
		daemonSet := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: operand.AgentName}}
		Expect(client.IgnoreNotFound(admin.Delete(ctx, daemonSet))).To(Succeed()) // another spec's; no garbage collector runs here
		mustHelm(ctx, "install", "mirrorset", "charts/mirrorset", "--namespace", controlplane.Namespace)
		DeferCleanup(takeAway, "--namespace="+controlplane.Namespace, "serviceaccount,role,rolebinding", "--selector=app.kubernetes.io/component=test")
		apply := plane.Kubectl(ctx, "apply", "--filename=-")
		apply.Stdin = strings.NewReader(mustHelm(ctx, "get", "hooks", "mirrorset", "--namespace", controlplane.Namespace))
		out, err := apply.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		pod := &corev1.Pod{}
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: controlplane.Namespace, Name: test}, pod)).To(Succeed())
		Expect(admin.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed()) // no kubelet runs it here
		command := append(slices.Clone(pod.Spec.Containers[0].Command), pod.Spec.Containers[0].Args...)
		Expect(command).To(Equal([]string{"/manager", "check", "--namespace=$(POD_NAMESPACE)", "--wait=3m"}))
		check := func(wait string) (string, int) {
			GinkgoHelper()
			p, err := plane.StartProgram(ctx, "manager", types.NamespacedName{Namespace: controlplane.Namespace, Name: pod.Spec.ServiceAccountName}, "",
				[]string{"POD_NAMESPACE=" + controlplane.Namespace}, "check", "--wait="+wait)
			Expect(err).NotTo(HaveOccurred())
			Eventually(ctx, p.Exited()).WithTimeout(time.Minute).Should(BeClosed())
			return p.Log(), p.ExitCode()
		}

		log, code := check("0s")
		Expect(code).To(Equal(1), log)
		Expect(log).To(And(MatchRegexp("(?m)^FAILED  The API server serves ImageDigestMirrorSet .*no matches"), MatchRegexp("(?m)^FAILED  The rules .* not found"),
			MatchRegexp("(?m)^FAILED  Every agent .* not found"), MatchRegexp("(?m)^FAILED  Every manager .*has not seen its latest version"), ContainSubstring("6 of 6 checks failed")))

		startManager(ctx, alone)
		Expect(plane.AwaitSets(ctx)).To(Succeed())
		Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(daemonSet), daemonSet) }).Should(Succeed())
		status := func(desired, current, updated, ready int32) {
			GinkgoHelper()
			daemonSet.Status = appsv1.DaemonSetStatus{ObservedGeneration: daemonSet.Generation, DesiredNumberScheduled: desired,
				CurrentNumberScheduled: current, UpdatedNumberScheduled: updated, NumberReady: ready}
			Expect(admin.Status().Update(ctx, daemonSet)).To(Succeed())
		}
		manager := managerDeployment(ctx)
		managers := func(replicas, updated, available int32) {
			GinkgoHelper()
			manager.Spec.Replicas = &replicas
			Expect(admin.Update(ctx, manager)).To(Succeed())
			manager.Status = appsv1.DeploymentStatus{ObservedGeneration: manager.Generation, Replicas: max(updated, available), UpdatedReplicas: updated, ReadyReplicas: available, AvailableReplicas: available}
			Expect(admin.Status().Update(ctx, manager)).To(Succeed())
		}
		for _, c := range []struct {
			replicas, updated, available int32
			want                         string
		}{
			{0, 0, 0, "it has 0 replicas"},
			{2, 1, 2, "of 2 managers, 1 are of the latest version, and 2 are available"},
			{2, 2, 1, "of 2 managers, 2 are of the latest version, and 1 are available"},
		} {
			managers(c.replicas, c.updated, c.available)
			log, code = check("0s")
			Expect(code).To(Equal(1), log)
			Expect(log).To(MatchRegexp("(?m)^FAILED  Every manager .*" + c.want))
		}
		managers(1, 1, 1)
		log, code = check("5s")
		Expect(code).To(Equal(1), log)
		Expect(log).To(And(MatchRegexp("(?m)^ok      The rules "), MatchRegexp("(?m)^FAILED  Every agent .*has not seen its latest version"), ContainSubstring("1 of 6 checks failed")))
		for _, c := range []struct {
			desired, current, updated, ready int32
			want                             string
		}{
			{0, 0, 0, 0, "no node should have an agent"},
			{3, 3, 2, 3, "of 3 nodes, 2 have an agent of the latest version, and 3 have one that is ready"},
			{3, 3, 3, 2, "of 3 nodes, 3 have an agent of the latest version, and 2 have one that is ready"},
		} {
			status(c.desired, c.current, c.updated, c.ready)
			log, code = check("0s")
			Expect(code).To(Equal(1), log)
			Expect(log).To(ContainSubstring(c.want))
		}
		status(3, 3, 3, 3)
		log, code = check("0s")
		Expect(code).To(Equal(0), log)
		Expect(strings.Count(log, "ok      ")).To(Equal(6))
		Expect(log).NotTo(ContainSubstring("FAILED"))
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

		var chart struct{ Annotations map[string]string }
		text, err := os.ReadFile("../../charts/mirrorset/Chart.yaml")
		Expect(err).NotTo(HaveOccurred())
		Expect(yaml.Unmarshal(text, &chart)).To(Succeed())
		var examples []map[string]any
		Expect(yaml.UnmarshalStrict([]byte(chart.Annotations["artifacthub.io/crdsExamples"]), &examples)).To(Succeed())
		for i, kind := range kinds.All {
			example := &unstructured.Unstructured{Object: examples[i]}
			Expect(example.GroupVersionKind()).To(Equal(kind.GroupVersionKind()))
			Expect(client.WithFieldValidation(admin, metav1.FieldValidationStrict).Create(ctx, example, client.DryRunAll)).To(Succeed())
		}

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
