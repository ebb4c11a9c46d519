// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/test/cluster"
)

const (
	namespace = "mirrorset-system"
	imageName = "mirrorset.test/mirrorset"
	dropIn    = "/etc/containers/registries.conf.d/50-mirrorset.conf"
	certsDir  = "/etc/containerd/certs.d"
	ourMark   = "# Written by Mirrorset"
)

// operator is Mirrorset as it is installed on the shared node.
type operator struct {
	*cluster.Cluster
	// hosts are where registries may be that the manager was told to be insecure.
	hosts []string
	// environment is what the manager has beside what the manifests say.
	environment []string
	// tag is that of the image which was last applied.
	tag string
}

// installed is nil until a spec needs Mirrorset, and after a spec that removed it.
var installed *operator

// mirrorset returns Mirrorset on the shared node. When the spec fails, its logs are in the report; when it does not, nothing
// was forbidden to it.
func mirrorset(ctx context.Context) *operator {
	GinkgoHelper()
	c := node(ctx)
	m := installed
	if m == nil {
		m = &operator{Cluster: c, hosts: freeHosts(3)}
	}
	DeferCleanup(func(ctx SpecContext) {
		if CurrentSpecReport().Failed() {
			AddReportEntry("state of Mirrorset", m.state(ctx), ReportEntryVisibilityFailureOrVerbose)
		} else if installed != nil {
			Expect(m.forbidden(ctx)).To(BeEmpty())
		}
	}, cleanUpTimeout)
	if installed == nil {
		started := time.Now()
		m.importImage(ctx)
		m.applyManifests(ctx, "e2e")
		m.expectReady(ctx)
		installed = m
		reportTime("Mirrorset was installed and ready after", started)
	}
	return m
}

// freeHosts returns addresses that nothing listens on. They are not among the ports that the kernel gives to connections, so
// a registry that was stopped can come back.
func freeHosts(n int) []string {
	GinkgoHelper()
	var hosts []string
	for port := 20000 + os.Getpid()%10000; len(hosts) < n; port++ {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			Expect(port).To(BeNumerically("<", 32000), "no port is free: %v", err)
			continue
		}
		hosts = append(hosts, listener.Addr().String())
		Expect(listener.Close()).To(Succeed())
	}
	return hosts
}

// applyManifests applies what `make build-installer` wrote, with this tag and with the registries of the specs as insecure ones,
// in the way in which people change such manifests.
func (m *operator) applyManifests(ctx context.Context, tag string) {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	manifests, err := os.ReadFile("../../dist/install.yaml")
	Expect(err).NotTo(HaveOccurred(), "make build-installer")
	put(filepath.Join(folder, "install.yaml"), string(manifests))
	args := make([]string, 0, len(m.hosts))
	for _, host := range m.hosts {
		args = append(args, "--insecure-registry="+host)
	}
	var environment strings.Builder
	for _, variable := range m.environment {
		name, value, _ := strings.Cut(variable, "=")
		fmt.Fprintf(&environment, "    - {op: add, path: /spec/template/spec/containers/0/env/-, value: {name: %q, value: %q}}\n", name, value)
	}
	put(filepath.Join(folder, "kustomization.yaml"), fmt.Sprintf(`resources: [install.yaml]
patches:
- target: {kind: Deployment, name: mirrorset-manager}
  patch: |
    - {op: replace, path: /spec/template/spec/containers/0/image, value: "%s:%s"}
    - {op: add, path: /spec/template/spec/containers/0/args, value: [%s]}
%s`, imageName, tag, strings.Join(args, ", "), environment.String()))
	m.kubectl(ctx, "apply", "--server-side", "-k", folder)
	m.tag = tag
}

// setArgument has the manager, and so the agents, run with one more argument until the end of the spec.
func (m *operator) setArgument(ctx context.Context, argument string) {
	GinkgoHelper()
	const path = "/spec/template/spec/containers/0/args/0"
	change := func(ctx context.Context, operation string) {
		GinkgoHelper()
		before := m.agents(ctx)
		m.kubectl(ctx, "patch", "deployment", "-n", namespace, "mirrorset-manager", "--type=json", "-p", "["+operation+"]")
		Eventually(m.agents).WithArguments(ctx).WithTimeout(convergeTimeout).WithPolling(50 * time.Millisecond).Should(And(HaveLen(1), Not(Equal(before))))
		m.expectReady(ctx)
	}
	change(ctx, fmt.Sprintf(`{"op": "add", "path": %q, "value": %q}`, path, argument))
	DeferCleanup(func(ctx SpecContext) {
		change(ctx, fmt.Sprintf(`{"op": "test", "path": %q, "value": %q}, {"op": "remove", "path": %q}`, path, argument, path))
	}, cleanUpTimeout)
}

// expectReady waits until the present revision of manager and agents is all there is.
func (m *operator) expectReady(ctx context.Context) {
	GinkgoHelper()
	m.kubectl(ctx, "rollout", "status", kubectlTimeout, "-n", namespace, "deployment/mirrorset-manager")
	m.kubectl(ctx, "wait", "--for=create", kubectlTimeout, "-n", namespace, "daemonset/mirrorset-agent")
	m.kubectl(ctx, "wait", "--for=jsonpath={.spec.template.spec.containers[0].image}="+imageName+":"+m.tag, kubectlTimeout, "-n", namespace, "daemonset/mirrorset-agent")
	m.kubectl(ctx, "rollout", "status", kubectlTimeout, "-n", namespace, "daemonset/mirrorset-agent")
}

// kubectl returns what it printed.
func (m *operator) kubectl(ctx context.Context, args ...string) string {
	GinkgoHelper()
	return run(m.Kubectl(ctx, args...))
}

// shell returns a command line as people type it, with kubectl and its plugin where they look for them.
func (m *operator) apply(ctx context.Context, manifests ...string) {
	GinkgoHelper()
	cmd := m.Kubectl(ctx, "apply", "--server-side", "-f", "-")
	cmd.Stdin = strings.NewReader(strings.Join(manifests, "---\n"))
	run(cmd)
}

func (m *operator) shell(ctx context.Context, line string) *exec.Cmd {
	cmd := m.Kubectl(ctx)
	environment := append(cmd.Env, fmt.Sprintf("PATH=%s:%s:%s", filepath.Dir(cmd.Path), filepath.Dir(kubectlMirrors), os.Getenv("PATH")))
	cmd = exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Env = environment
	return cmd
}

// run runs a command that must not fail, and returns what it printed.
func run(cmd *exec.Cmd) string {
	GinkgoHelper()
	out, err := cmd.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s\n%s", strings.Join(cmd.Args, " "), out)
	return string(out)
}

// logs returns those of all managers and agents, also of containers that were replaced in their Pod.
func (m *operator) logs(ctx context.Context) string {
	return m.logsOf(ctx, "manager") + m.logsOf(ctx, "agent")
}

func (m *operator) logsOf(ctx context.Context, component string) string {
	all, err := m.Kubectl(ctx, "logs", "--tail=-1", "-n", namespace, "-l", "app.kubernetes.io/component="+component).CombinedOutput()
	if err != nil { // one that just ends is no reason to fail
		return fmt.Sprintf("%s%v\n", all, err)
	}
	return string(all)
}

// forbidden returns what the logs say of rights that were missing, but for the first moments of an API server, which knows
// no roles yet.
func (m *operator) forbidden(ctx context.Context) []string {
	return slices.DeleteFunc(strings.Split(m.logs(ctx), "\n"), func(line string) bool {
		return !strings.Contains(line, "is forbidden: User") || slices.ContainsFunc(apiServerStarts, func(start time.Time) bool {
			_, stamp, _ := strings.Cut(line, `"ts":"`)
			at, err := time.Parse(time.RFC3339, strings.SplitN(stamp, `"`, 2)[0])
			return err == nil && at.After(start.Add(-2*time.Second)) && at.Before(start.Add(time.Minute))
		})
	})
}

// apiServerStarts are when specs began to restart the API server.
var apiServerStarts []time.Time

func restartAPIServer(ctx context.Context, c *cluster.Cluster) error {
	apiServerStarts = append(apiServerStarts, time.Now())
	return c.RestartAPIServer(ctx)
}

// state is for the report of a spec that failed.
func (m *operator) state(ctx context.Context) string {
	var all strings.Builder
	for _, args := range [][]string{
		{"get", "pods,daemonsets,deployments", "-n", namespace, "-o", "wide"}, {"get", "events", "-A", "--sort-by=.lastTimestamp"},
		{"get", "idms,configmaps", "-n", namespace, "-o", "yaml"}, {"describe", "pods", "-n", namespace},
	} {
		out, _ := m.Kubectl(ctx, args...).CombinedOutput() // an error is in what it prints
		fmt.Fprintf(&all, "== kubectl %s\n%s", strings.Join(args, " "), out)
	}
	for path, text := range m.files() {
		fmt.Fprintf(&all, "== %s\n%s", path, text)
	}
	return all.String() + "== logs\n" + m.logs(ctx)
}

// files returns those on the node that are ours, by their path.
func (m *operator) files() map[string]string {
	GinkgoHelper()
	ours := map[string]string{}
	for _, pattern := range []string{filepath.Dir(dropIn) + "/*", certsDir + "/*/*"} {
		paths, err := filepath.Glob(m.Path(pattern))
		Expect(err).NotTo(HaveOccurred())
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(text), ourMark) { // it may have gone since
				ours[strings.TrimPrefix(path, m.Path("/"))] = string(text)
			}
		}
	}
	return ours
}

// remains returns what is in the folders that Mirrorset writes to, temporary files and empty folders included.
func (m *operator) remains() []string {
	GinkgoHelper()
	patterns := []string{filepath.Dir(dropIn) + "/*"}
	for _, host := range m.hosts {
		patterns = append(patterns, certsFolder(host), certsFolder(host)+"/*")
	}
	var all []string
	for _, pattern := range patterns {
		paths, err := filepath.Glob(m.Path(pattern)) // with dot files
		Expect(err).NotTo(HaveOccurred())
		all = append(all, paths...)
	}
	return all
}

// certsFolder is where containerd looks first for a registry.
func certsFolder(host string) string {
	if !strings.Contains(host, ":") {
		return certsDir + "/" + host
	}
	return certsDir + "/" + strings.ReplaceAll(host, ":", "_") + "_"
}

func reportTime(what string, since time.Time) {
	AddReportEntry(what, time.Since(since).Round(time.Millisecond).String(), ReportEntryVisibilityAlways)
}

// published returns the revision of the ConfigMap.
func (m *operator) published(ctx context.Context) (revision int64) {
	GinkgoHelper()
	_, err := fmt.Sscan(m.kubectl(ctx, "get", "configmap", "-n", namespace, "containers-registries.conf", "-o", `jsonpath={.metadata.annotations.mirrorset\.io/revision}`), &revision)
	Expect(err).NotTo(HaveOccurred())
	return revision
}
