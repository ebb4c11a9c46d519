// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// prometheusAccount is who scrapes, in config/prometheus.
const prometheusAccount = "mirrorset-prometheus"

// components installs what docs/reference/metrics.md has people write into a kustomization, but for what only the Prometheus operator
// understands, and returns that.
func components(ctx context.Context) (operators []client.Object) {
	GinkgoHelper()
	document, err := os.ReadFile("../../docs/reference/metrics.md")
	Expect(err).NotTo(HaveOccurred())
	root, err := filepath.Abs("../..")
	Expect(err).NotTo(HaveOccurred())
	folder := GinkgoT().TempDir()
	Expect(os.Symlink(root, filepath.Join(folder, "mirrorset"))).To(Succeed())
	kustomization := ""
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(document), -1) {
		kustomization += block[1]
	}
	Expect(os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(kustomization), 0o600)).To(Succeed())
	cmd := plane.Kubectl(ctx, "kustomize", folder)
	built, err := cmd.Output()
	Expect(err).NotTo(HaveOccurred(), "%s", built)
	var served []string
	for _, manifest := range strings.Split(string(built), "\n---\n") {
		if !strings.Contains(manifest, "apiVersion: monitoring.coreos.com/") {
			served = append(served, manifest)
			continue
		}
		object := &metav1.PartialObjectMetadata{}
		Expect(yaml.Unmarshal([]byte(manifest), object)).To(Succeed())
		operators = append(operators, object)
	}
	DeferCleanup(func(ctx SpecContext) {
		own := client.MatchingLabels{"app.kubernetes.io/component": "prometheus"}
		Expect(admin.DeleteAllOf(ctx, &rbacv1.ClusterRoleBinding{}, own)).To(Succeed())
		Expect(admin.DeleteAllOf(ctx, &corev1.ServiceAccount{}, client.InNamespace(controlplane.Namespace), own)).To(Succeed())
		Expect(admin.DeleteAllOf(ctx, &corev1.Secret{}, client.InNamespace(controlplane.Namespace), own)).To(Succeed())
		Expect(admin.Delete(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "mirrorset-agent-metrics-auth"}})).To(Succeed())
		Expect(admin.Delete(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: "mirrorset-dashboard"}})).To(Succeed())
		Expect(plane.InstallAll(ctx)).To(Succeed())
	})
	file := filepath.Join(folder, "served.yaml")
	Expect(os.WriteFile(file, []byte(strings.Join(served, "\n---\n")), 0o600)).To(Succeed())
	out, err := plane.Kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-f", file).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	return operators
}

// freeAddress is one that nobody listens on.
func freeAddress() string {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(listener.Close()).To(Succeed()) }()
	return listener.Addr().String()
}

// tokenOf returns a token of an account.
func tokenOf(ctx context.Context, account string) string {
	GinkgoHelper()
	request := &authenticationv1.TokenRequest{}
	of := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: account}}
	Expect(admin.SubResource("token").Create(ctx, of, request)).To(Succeed())
	return request.Status.Token
}

// scrape returns the status and the body of an answer, without a token if that is empty.
func scrape(address, token string) (status int, body string, err error) {
	c := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, // as config/prometheus does
	}}
	req, err := http.NewRequest(http.MethodGet, "https://"+address+"/metrics", nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), err
}

// families are the metrics in a scrape, or in a file that the tests of a package hold.
func families(text string) (names []string) {
	for _, match := range regexp.MustCompile(`(?m)^# TYPE (mirrorset_\S+) `).FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	return names
}

func familiesIn(file string) []string {
	GinkgoHelper()
	text, err := os.ReadFile("../../" + file)
	Expect(err).NotTo(HaveOccurred())
	return families(string(text))
}

// isOfPulls reports whether a family has no series before the first pull.
func isOfPulls(family string) bool {
	return strings.HasPrefix(family, "mirrorset_mirror_") || strings.HasPrefix(family, "mirrorset_source_")
}

var _ = Describe("Metrics", func() {
	// startMeasured starts the manager and an agent, both with metrics, on a node that counts.
	startMeasured := func(ctx context.Context) (n *node, manager, agent string, p *controlplane.Process) {
		GinkgoHelper()
		Expect(admin.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{corev1.LabelOSStable: "linux"}}})).To(Succeed())
		n, manager, agent = newNode(), freeAddress(), freeAddress()
		startManager(ctx, alone, "--metrics-bind-address="+manager)
		p, err := plane.StartAgent(ctx, n.root, "node-1", "--metrics-bind-address="+agent)
		Expect(err).NotTo(HaveOccurred())
		return n, manager, agent, track("agent", p)
	}

	It("are had by who may have them, and tell what happens", func(ctx SpecContext) {
		var kinds []string
		for _, o := range components(ctx) {
			Expect(o.GetLabels()).To(HaveKeyWithValue("release", "kube-prometheus-stack"))
			kinds = append(kinds, o.GetObjectKind().GroupVersionKind().Kind)
		}
		Expect(kinds).To(ConsistOf("ServiceMonitor", "PodMonitor", "PrometheusRule"))

		n, manager, agent, p := startMeasured(ctx)
		s := set("a", entry("quay.io", "m1.local"))
		create(ctx, s)
		n.wantRules(s)
		reader := tokenOf(ctx, prometheusAccount)
		for what, c := range map[string]struct {
			address string
			want    []string
		}{
			"manager": {manager, append(familiesIn("internal/controller/testdata/metrics.prom"), "mirrorset_build_info")},
			"agent":   {agent, slices.DeleteFunc(familiesIn("internal/agent/testdata/metrics.prom"), isOfPulls)},
		} {
			for token, want := range map[string]int{"": http.StatusUnauthorized, tokenOf(ctx, controlplane.AgentAccount): http.StatusForbidden} {
				Eventually(func(g Gomega) { // there are few questions to the API server in a second
					status, body, err := scrape(c.address, token)
					g.Expect(err).NotTo(HaveOccurred())
					g.Expect(status).To(Equal(want), what)
					g.Expect(families(body)).To(BeEmpty(), what)
				}).Should(Succeed())
			}
			Eventually(func(g Gomega) {
				status, body, err := scrape(c.address, reader)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(status).To(Equal(http.StatusOK), what)
				g.Expect(families(body)).To(ConsistOf(c.want), what)
			}).Should(Succeed())
		}
		status, _, err := scrape(agent, "nobody's")
		Expect(err).NotTo(HaveOccurred())
		Expect(status).To(Equal(http.StatusUnauthorized))

		expect := func(address string, lines ...string) {
			GinkgoHelper()
			Eventually(func(g Gomega) {
				_, body, err := scrape(address, reader)
				g.Expect(err).NotTo(HaveOccurred())
				for _, line := range lines {
					g.Expect("\n" + body).To(MatchRegexp("\n" + line + "\n"))
				}
			}).Should(Succeed())
		}
		revision := fmt.Sprintf("%g", float64(mustPublished(ctx).Revision))
		revision = regexp.QuoteMeta(revision)
		expect(manager, `mirrorset_sets\{kind="ImageDigestMirrorSet"\} 1`, `mirrorset_rules 1`, "mirrorset_revision "+revision, `mirrorset_nodes\{state="in_force"\} 1`, `mirrorset_nodes\{state="silent"\} 0`,
			`mirrorset_findings\{class="LeftOut",reason="InvalidMirror"\} 0`, `mirrorset_render_duration_seconds_count [1-9]\d*`,
			`mirrorset_writes_total\{kind="configmap"\} [1-9]\d*`, `mirrorset_writes_total\{kind="mirrornode"\} [1-9]\d*`, `mirrorset_writes_total\{kind="set_status"\} [1-9]\d*`, `mirrorset_writes_total\{kind="daemonset"\} [1-9]\d*`)
		expect(agent, "mirrorset_agent_revision "+revision, `mirrorset_agent_drift_repairs_total\{file="drop_in"\} 0`)

		change(ctx, s, entry("quay.io", "m1.local"), entry("ghcr.io/team", "mirror", "m1.local"))
		expect(manager, `mirrorset_findings\{class="LeftOut",reason="InvalidMirror"\} 1`)
		change(ctx, s, entry("quay.io", "m2.local"))
		n.wantRules(s)
		expect(manager, `mirrorset_findings\{class="LeftOut",reason="InvalidMirror"\} 0`, `mirrorset_propagation_seconds_count [2-9]`, `mirrorset_propagation_seconds_bucket\{le="5"\} [2-9]`)
		n.remove(dropIn)
		n.wantRules(s)
		expect(agent, `mirrorset_agent_drift_repairs_total\{file="drop_in"\} 1`)

		p.Kill()
		change(ctx, s, entry("quay.io", "m3.local"))
		expect(manager, `mirrorset_nodes\{state="in_force"\} 0`, `mirrorset_nodes\{state="behind"\} 1`)
	})

	It("of an agent that may not ask who comes are had by nobody", func(ctx SpecContext) {
		_, manager, agent, _ := startMeasured(ctx)
		Eventually(func(g Gomega) {
			status, _, err := scrape(manager, tokenOf(ctx, controlplane.ManagerAccount))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(status).To(Equal(http.StatusForbidden))
		}).Should(Succeed())
		Eventually(func(g Gomega) {
			status, body, err := scrape(agent, tokenOf(ctx, controlplane.ManagerAccount))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(status).To(Equal(http.StatusServiceUnavailable))
			g.Expect(families(body)).To(BeEmpty())
		}).Should(Succeed())
	})

	It("are not served by an agent that is not told to", func(ctx SpecContext) {
		n := newNode()
		agent := startAgent(ctx, n)
		Consistently(agent.Log, "1s").ShouldNot(ContainSubstring("metrics"))
	})

	It("of an agent come from its successor once it has ended", func(ctx SpecContext) {
		components(ctx)
		n, address := newNode(), freeAddress()
		reader := tokenOf(ctx, prometheusAccount)
		start := func(name string) *controlplane.Process {
			GinkgoHelper()
			p, err := plane.StartAgent(ctx, n.root, "node-1", "--metrics-bind-address="+address)
			Expect(err).NotTo(HaveOccurred())
			return track(name, p)
		}
		first := start("first")
		Eventually(first.Log).Should(ContainSubstring("Serving metrics"))
		second := start("second")
		Eventually(second.Log).Should(ContainSubstring("Not serving metrics yet"))
		Consistently(second.Exited(), "2s").ShouldNot(BeClosed())
		Expect(first.Stop()).To(Succeed())
		Eventually(second.Log).Should(ContainSubstring("Serving metrics"))
		Eventually(func() (int, error) {
			status, _, err := scrape(address, reader)
			return status, err
		}).Should(Equal(http.StatusOK))
		Expect(second.Stop()).To(Succeed())
	})

	It("tell the revision that stays published while a CRD without sets is not believed", func(ctx SpecContext) {
		DeferCleanup(func(ctx SpecContext) { Expect(plane.InstallAll(ctx)).To(Succeed()) })
		components(ctx)
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		s := set("a", entry("quay.io", "m1.local"))
		create(ctx, s)
		n.wantRules(s)
		manager.Kill()
		deleteCRD(ctx, kinds.Digest)
		Expect(plane.InstallAll(ctx)).To(Succeed())
		address := freeAddress()
		manager = startManager(ctx, alone, "--metrics-bind-address="+address)
		Eventually(manager.Log).Should(ContainSubstring("the CRD of ImageDigestMirrorSet was replaced and has no sets"))
		reader := tokenOf(ctx, prometheusAccount)
		Eventually(func(g Gomega) {
			_, body, err := scrape(address, reader)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(body).To(ContainSubstring("\nmirrorset_revision %g\n", float64(mustPublished(ctx).Revision)))
			g.Expect(body).To(ContainSubstring("\nmirrorset_sets{kind=\"ImageDigestMirrorSet\"} 0\n"))
		}).Should(Succeed())
	})
})
