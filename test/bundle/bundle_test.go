// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bundle_test installs the OLM bundle on a real kube-apiserver, and runs the programs with the accounts, arguments
// and rights that come of it.
package bundle_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/hack/bundle/olm"
	"github.com/mirrorset/mirrorset/test/bundle"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// namespace is not the one that config/default has, so that what would go nowhere else is found.
const namespace = "operators"

const nodeName = "node-1"

func TestBundle(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Bundle")
}

var (
	plane *controlplane.ControlPlane
	admin client.Client
	root  string
)

var _ = BeforeSuite(func(ctx SpecContext) {
	log.SetLogger(GinkgoLogr)
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	var err error
	root, err = filepath.Abs("../..")
	Expect(err).NotTo(HaveOccurred())
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		Expect(os.Setenv("KUBEBUILDER_ASSETS", filepath.Join(root, "bin/k8s"))).To(Succeed())
	}
	plane, err = controlplane.Start(root)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return plane.Stop() })
	admin, err = client.New(plane.Config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	kubectl(ctx, "apply", "-f", "test/e2e/testdata/olm-crd.yaml")
})

func kubectl(ctx context.Context, args ...string) string {
	GinkgoHelper()
	out, err := plane.Kubectl(ctx, args...).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	return string(out)
}

var _ = Describe("The bundle, as OLM installs it", func() {
	It("does the main job, with no right too few or too many", func(ctx SpecContext) {
		released, err := olm.Load(os.DirFS(root))
		Expect(err).NotTo(HaveOccurred())
		env := documentedEnv()
		installer := &bundle.Installer{Client: admin, Namespace: namespace, Bundle: released, Env: env}
		deployment := installer.Install(ctx)
		Expect(deployment.Spec.Template.Spec.EnableServiceLinks).To(HaveValue(BeFalse()), "variables of Services could pass for settings")
		metrics := freeAddress()
		manager := startManager(ctx, deployment, metrics)

		Expect(plane.AwaitSets(ctx)).To(Succeed())
		tryExamples(ctx, released)
		kubectl(ctx, "apply", "-f", "config/samples/")
		host := GinkgoT().TempDir()
		agent := startAgent(ctx, host)
		kubectl(ctx, "wait", "--for=condition=Applied", "--timeout=30s", "imagedigestmirrorsets", "--all")
		Expect(os.ReadFile(filepath.Join(host, "etc/containers/registries.conf.d/50-mirrorset.conf"))).To(BeEquivalentTo(rendered(ctx, env)))
		Expect(kubectl(ctx, "get", "crd", "proxies.config.openshift.io", "-o", "name")).NotTo(BeEmpty())
		Eventually(scrape).WithArguments(ctx, metrics, token(ctx)).Should(ContainSubstring("mirrorset_nodes{"))

		By("undoing what others did to its ConfigMap, and following the node's runtime")
		configMap := client.ObjectKey{Namespace: namespace, Name: "containers-registries.conf"}
		kubectl(ctx, "patch", "configmap", "-n", namespace, configMap.Name, "--type=merge", "-p", `{"immutable": true, "data": null}`)
		Eventually(func(g Gomega) {
			var cm corev1.ConfigMap
			g.Expect(admin.Get(ctx, configMap, &cm)).To(Succeed())
			g.Expect(cm.Immutable).To(BeNil())
		}).Should(Succeed())
		kubectl(ctx, "patch", "node", nodeName, "--subresource=status", "--type=merge", "-p", `{"status": {"nodeInfo": {"containerRuntimeVersion": "cri-o://1.34.0"}}}`)
		Eventually(kubectl).WithArguments(ctx, "get", "mirrornode", nodeName, "-o", "yaml").Should(ContainSubstring("cri-o://1.34.0"))

		By("keeping one record of a text, that of the sets which it is of now")
		var before corev1.ConfigMap
		Expect(admin.Get(ctx, configMap, &before)).To(Succeed())
		kubectl(ctx, "annotate", "imagedigestmirrorsets", "--all", "mirrorset.io/insecure-mirrors=none.example.com") // which is no mirror's, and changes no rule
		Eventually(func(g Gomega) {
			var cm corev1.ConfigMap
			g.Expect(admin.Get(ctx, configMap, &cm)).To(Succeed())
			g.Expect(cm.Annotations["mirrorset.io/sets"]).NotTo(Equal(before.Annotations["mirrorset.io/sets"]))
			records := kubectl(ctx, "get", "controllerrevisions", "-n", namespace, "-o", "name")
			of := func(annotation string) string { return "-" + cm.Annotations[annotation][len("sha256:"):][:16] }
			g.Expect(strings.Count(records, of("mirrorset.io/digest"))).To(Equal(1))
			g.Expect(records).To(ContainSubstring(of("mirrorset.io/digest") + of("mirrorset.io/sets")))
		}).Should(Succeed())

		By("letting a node go")
		Expect(agent.Stop()).To(Succeed())
		kubectl(ctx, "delete", "node", nodeName)
		kubectl(ctx, "wait", "--for=delete", "--timeout=30s", "mirrornode", nodeName)
		Expect(manager.Stop()).To(Succeed())
		expectNothingForbidden(manager, agent)
		expectRights(released)

		By("leaving what the documents have people delete, and nothing else")
		installer.Remove(ctx)
		commands := regexp.MustCompile(`(?m)^kubectl (delete \w+ -l .*|-n "\$namespace" delete .*)$`).FindAllStringSubmatch(installation(), -1)
		Expect(commands).To(HaveLen(6))
		for _, command := range commands {
			kubectl(ctx, strings.Fields(strings.ReplaceAll(command[1], `"$namespace"`, namespace))...)
		}
		const clusterScoped = "customresourcedefinitions,clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings"
		Expect(kubectl(ctx, "get", clusterScoped, "-o", "name")).NotTo(ContainSubstring("mirrorset"))
		const namespaced = "deployments,daemonsets,controllerrevisions,configmaps,leases,services,serviceaccounts,roles,rolebindings"
		Expect(kubectl(ctx, "get", namespaced, "-n", namespace, "-o", "name")).NotTo(Or(ContainSubstring("mirrorset"), ContainSubstring("registries")))
	}, NodeTimeout(3*time.Minute))
})

// startManager starts the Deployment's one container as a process. It listens nowhere but at the address for metrics.
func startManager(ctx context.Context, d *appsv1.Deployment, metrics string) *controlplane.Process {
	GinkgoHelper()
	pod := d.Spec.Template.Spec
	container := pod.Containers[0]
	args := append(container.Args, "--metrics-bind-address="+metrics, "--health-probe-bind-address=0")
	return start(ctx, container, pod.ServiceAccountName, "", args)
}

// startAgent starts the container of the DaemonSet that the manager made, with the host's root in a folder.
func startAgent(ctx context.Context, host string) *controlplane.Process {
	GinkgoHelper()
	var d appsv1.DaemonSet
	Eventually(admin.Get).WithArguments(ctx, types.NamespacedName{Namespace: namespace, Name: "mirrorset-agent"}, &d).Should(Succeed())
	pod := d.Spec.Template.Spec
	args := append(pod.Containers[0].Args, "--host-root="+host, "--ready-file="+filepath.Join(host, "ready"))
	for i := range args {
		args[i] = strings.NewReplacer("$(NODE_NAME)", nodeName, "$(POD_NAMESPACE)", namespace).Replace(args[i])
	}
	return start(ctx, pod.Containers[0], pod.ServiceAccountName, nodeName, args)
}

func start(ctx context.Context, container corev1.Container, account, node string, args []string) *controlplane.Process {
	GinkgoHelper()
	// Of an API server as old as 1.30, clients list what they then watch. Later ones send them all of it with the watch.
	env := []string{"KUBE_FEATURE_WatchListClient=false"}
	for _, variable := range container.Env {
		value := variable.Value
		if from := variable.ValueFrom; from != nil {
			value = map[string]string{"metadata.namespace": namespace, "spec.nodeName": node, "status.hostIP": "127.0.0.1"}[from.FieldRef.FieldPath]
		}
		env = append(env, variable.Name+"="+value)
	}
	program := strings.TrimPrefix(container.Command[0], "/")
	p, err := plane.StartProgram(ctx, program, types.NamespacedName{Namespace: namespace, Name: account}, node, env, args...)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		p.Kill()
		if CurrentSpecReport().Failed() {
			AddReportEntry("log of "+program, p.Log())
		}
	})
	return p
}

// tryExamples has the API server judge what people are offered to create.
func tryExamples(ctx context.Context, released *olm.Bundle) {
	GinkgoHelper()
	var examples []json.RawMessage
	Expect(json.Unmarshal([]byte(released.CSV.Annotations["alm-examples"]), &examples)).To(Succeed())
	examples = append(examples, json.RawMessage(released.CSV.Annotations["operatorframework.io/initialization-resource"]))
	for _, example := range examples {
		object := &unstructured.Unstructured{}
		Expect(object.UnmarshalJSON(example)).To(Succeed())
		Expect(client.WithFieldValidation(admin, "Strict").Create(ctx, object, client.DryRunAll)).To(Succeed())
	}
}

// installation is docs/how-to/install.md.
func installation() string {
	GinkgoHelper()
	text, err := os.ReadFile(filepath.Join(root, "docs/how-to/install.md"))
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// documentedEnv is spec.config.env of the Subscription that docs/how-to/install.md has people apply.
func documentedEnv() []corev1.EnvVar {
	GinkgoHelper()
	_, example, _ := strings.Cut(installation(), "\nkind: Subscription\n")
	example, _, _ = strings.Cut(example, "\n```\n")
	var subscription struct {
		Spec struct{ Config struct{ Env []corev1.EnvVar } }
	}
	Expect(yaml.Unmarshal([]byte(example), &subscription)).To(Succeed())
	return subscription.Spec.Config.Env
}

// rendered is what the plugin says that the samples come to with these settings, of which there is one.
func rendered(ctx context.Context, env []corev1.EnvVar) string {
	GinkgoHelper()
	Expect(env).To(HaveLen(1))
	Expect(env[0].Name).To(Equal("MIRRORSET_INSECURE_REGISTRY"))
	out, err := exec.CommandContext(ctx, filepath.Join(root, "bin/kubectl-mirrors"), "render", "-f", filepath.Join(root, "config/samples"),
		"--insecure-registry", env[0].Value).Output()
	Expect(err).NotTo(HaveOccurred())
	Expect(string(out)).To(ContainSubstring("\ninsecure = true\n"))
	return string(out)
}

// freeAddress is one that nobody listens on.
func freeAddress() string {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(listener.Close()).To(Succeed()) }()
	return listener.Addr().String()
}

// token is that of an account that the bundle's role lets read metrics.
func token(ctx context.Context) string {
	GinkgoHelper()
	kubectl(ctx, "create", "serviceaccount", "prometheus", "-n", "default")
	kubectl(ctx, "create", "clusterrolebinding", "prometheus", "--clusterrole=mirrorset-metrics-reader", "--serviceaccount=default:prometheus")
	return strings.TrimSpace(kubectl(ctx, "create", "token", "prometheus", "-n", "default"))
}

func scrape(ctx context.Context, address, token string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", resp.Status, content)
	}
	return string(content), err
}
