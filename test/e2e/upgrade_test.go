// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// agents returns the agents' Pods that are not about to end.
func (m *operator) agents(ctx context.Context) []corev1.Pod {
	GinkgoHelper()
	list, err := m.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=agent"})
	Expect(err).NotTo(HaveOccurred())
	var pods []corev1.Pod
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			pods = append(pods, list.Items[i])
		}
	}
	return pods
}

var _ = Describe("a node with sets in force", func() {
	var s *scene

	BeforeEach(func(ctx SpecContext) {
		s = newScene(ctx)
		s.apply(ctx, []string{s.mirror.host}, never("30-airgap", s.source.host, s.mirror.host))
	}, setUpTimeout)

	// change changes the set, so that the node has to follow, and the next pull with it.
	change := func(ctx SpecContext) {
		GinkgoHelper()
		s.apply(ctx, []string{s.second.host, s.mirror.host}, never("30-airgap", s.source.host, s.second.host+"/other", s.mirror.host))
	}
	expectPullFollows := func(ctx SpecContext) {
		GinkgoHelper()
		image, digest := newImage(ctx)
		s.second.push(ctx, "other/app", image)
		s.expectPulled(ctx, s.source.host+"/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.second.name}))
		s.expectUntouched(s.source, s.mirror)
	}

	It("is never without them, and never open, while the operator is upgraded from one release to the next", func(ctx SpecContext) {
		const to = "v0.2.0"
		s.importRelease(ctx, to)
		version := []string{"exec", "-n", namespace, "daemonset/mirrorset-agent", "--", "/agent", "--version"}
		Expect(s.kubectl(ctx, version...)).NotTo(ContainSubstring(to))
		s.apply(ctx, []string{s.mirror.host}, never("40-team", s.second.host+"/team", s.mirror.host)) // which takes the redirector
		Expect(s.files()).To(HaveLen(3))
		before := s.agents(ctx)
		Expect(before).To(HaveLen(1))
		old, k := s.files(), s.keepWatch()
		refused := s.pullsWhatIsBlocked(ctx)

		started := time.Now()
		s.applyManifests(ctx, to)
		Eventually(s.agents).WithArguments(ctx).WithTimeout(convergeTimeout).WithPolling(20*time.Millisecond).Should(HaveLen(2), "the new agent starts beside the old one")
		s.expectReady(ctx)
		reportTime("the upgrade took", started)
		after := s.agents(ctx)
		Expect(after).To(HaveLen(1))
		Expect(after[0].UID).NotTo(Equal(before[0].UID))
		Expect(s.kubectl(ctx, version...)).To(ContainSubstring(to))

		AddReportEntry("pulls of what is blocked that were refused meanwhile", refused(), ReportEntryVisibilityAlways)
		change(ctx)
		k.expectWhole(old, s.files())
		expectPullFollows(ctx)
	}, nodeTimeout)

	DescribeTable("follows a changed set after a part was killed:",
		func(ctx SpecContext, kill func(ctx context.Context) error) {
			old, k := s.files(), s.keepWatch()
			started := time.Now()
			Expect(kill(ctx)).To(Succeed())
			change(ctx)
			reportTime("the changed set was in force after the kill by", started)
			k.expectWhole(old, s.files())
			s.expectReady(ctx)
			expectPullFollows(ctx)
		},
		Entry("the agent's Pod", func(ctx context.Context) error { return s.killPods(ctx, "agent") }, nodeTimeout),
		Entry("the agent's process", func(ctx context.Context) error { return s.killProcess(ctx, "agent") }, nodeTimeout),
		Entry("the manager's Pod", func(ctx context.Context) error { return s.killPods(ctx, "manager") }, nodeTimeout),
		Entry("the manager's process, whose lease has to end", func(ctx context.Context) error { return s.killProcess(ctx, "manager") }, nodeTimeout),
		Entry("the kubelet", func(ctx context.Context) error { return s.RestartKubelet(ctx) }, nodeTimeout),
		Entry("the API server", func(ctx context.Context) error {
			return restartAPIServer(ctx, s.Cluster)
		}, nodeTimeout),
		Entry("containerd", func(ctx context.Context) error { return s.RestartContainerd(ctx) }, nodeTimeout),
	)

	It("keeps them while it has no agent, and has one again once the label that refused it is gone", func(ctx SpecContext) {
		DeferCleanup(func(ctx SpecContext) {
			s.kubectl(ctx, "label", "node", "--all", "mirrorset.io/agent-")
		}, cleanUpTimeout)
		old := s.files()
		s.kubectl(ctx, "label", "node", "--all", "mirrorset.io/agent=disabled")
		Eventually(s.agents).WithArguments(ctx).WithTimeout(convergeTimeout).WithPolling(100 * time.Millisecond).Should(BeEmpty())
		Expect(s.files()).To(Equal(old))
		s.kubectl(ctx, "wait", "--for=delete", kubectlTimeout, "-n", namespace, "pods", "-l", "app.kubernetes.io/component=agent")

		started := time.Now()
		s.kubectl(ctx, "label", "node", "--all", "mirrorset.io/agent-")
		s.expectReady(ctx)
		reportTime("the agent was back after", started)
		change(ctx)
	}, nodeTimeout)

	It("keeps them while Pod Security Admission refuses the agents, which the command that the manager logs brings back", func(ctx SpecContext) {
		const command = "kubectl label --overwrite namespace mirrorset-system pod-security.kubernetes.io/enforce=privileged"
		DeferCleanup(func(ctx SpecContext) {
			run(s.shell(ctx, command))
		}, cleanUpTimeout)
		old := s.files()
		s.kubectl(ctx, "label", "--overwrite", "namespace", namespace, "pod-security.kubernetes.io/enforce=baseline")
		started := time.Now()
		s.kubectl(ctx, "delete", "daemonset", "-n", namespace, "mirrorset-agent")
		Expect(s.logged(ctx, "manager", "Pod Security Admission refuses the agents")).To(HaveSuffix(": " + command))
		reportTime("the manager said so after", started)
		Expect(strings.Count(s.logsOf(ctx, "manager"), "Pod Security Admission refuses the agents")).To(Equal(1))
		s.kubectl(ctx, "wait", "--for=condition=Available=False", kubectlTimeout, "-n", namespace, "deployment/mirrorset-manager")
		reportTime("the manager's Deployment said so after", started)
		Expect(s.kubectl(ctx, "get", "events.events.k8s.io", "-n", namespace, "--field-selector=reason=AgentsRefused", "-o", "jsonpath={.items[*].note}")).To(ContainSubstring(command))
		told, err := s.shell(ctx, "kubectl mirrors doctor").CombinedOutput()
		Expect(err).To(HaveOccurred())
		Expect(string(told)).To(MatchRegexp("(?m)^PROBLEM  daemonset/mirrorset-agent: .*Pod Security Admission refuses the agents.*" + command))
		Eventually(s.agents).WithArguments(ctx).WithTimeout(convergeTimeout).WithPolling(100 * time.Millisecond).Should(BeEmpty())
		Expect(s.files()).To(Equal(old))

		since := s.availableSince(ctx)
		s.kubectl(ctx, "rollout", "restart", "-n", namespace, "deployment/mirrorset-manager")
		Expect(s.Kubectl(ctx, "rollout", "status", "--timeout=25s", "-n", namespace, "deployment/mirrorset-manager").Run()).NotTo(Succeed())
		Expect(s.availableSince(ctx)).To(Equal(since), "a manager that was started anew was ready for a moment")

		started = time.Now()
		run(s.shell(ctx, command))
		s.expectReady(ctx)
		reportTime("the agent was back after", started)
		change(ctx)
	}, nodeTimeout)
})

// availableSince returns whether the manager's Deployment is available, and since when.
func (m *operator) availableSince(ctx context.Context) string {
	GinkgoHelper()
	return m.kubectl(ctx, "get", "deployment", "-n", namespace, "mirrorset-manager", "-o", `jsonpath={.status.conditions[?(@.type=="Available")]['status','lastTransitionTime']}`)
}

// importRelease gives the node the image of a version, with that as its tag.
func (m *operator) importRelease(ctx context.Context, version string) {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	build := exec.CommandContext(ctx, "make", "image-programs", "VERSION="+version, "ARCHITECTURES="+runtime.GOARCH, "BIN="+filepath.Join(folder, "bin"))
	build.Dir = "../.."
	run(build)
	Expect(m.Import(ctx, packImage(ctx, version, folder))).To(Succeed())
}

// pullsWhatIsBlocked pulls an image, over and over, that only blocked sources have, one of them a whole registry and one not. The
// returned function ends that, wants that they were never asked, and returns how often the image was refused.
func (s *scene) pullsWhatIsBlocked(ctx context.Context) (refused func() int) {
	GinkgoHelper()
	image, digest := newImage(ctx)
	s.source.push(ctx, "hidden", image)
	s.second.push(ctx, "team/hidden", image)
	s.seen.forget()
	end, count := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-end:
				count <- n
				return
			default: // that it fails need not be looked at: a source would see a pull that does not
				repository := []string{s.source.host + "/hidden", s.second.host + "/team/hidden"}[n%2]
				_, _ = s.Exec(ctx, "ctr", "--namespace", "k8s.io", "images", "pull", "--hosts-dir", certsDir, repository+digest)
			}
		}
	}()
	return func() int {
		GinkgoHelper()
		close(end)
		n := <-count
		s.expectUntouched(s.source, s.second)
		Expect(s.seen.asked()).To(Equal([]string{s.mirror.name}))
		return n
	}
}

// killPods deletes Pods without any grace.
func (m *operator) killPods(ctx context.Context, component string) error {
	GinkgoHelper()
	Expect(m.forbidden(ctx)).To(BeEmpty()) // their logs go with them
	return m.Kubectl(ctx, "delete", "pods", "-n", namespace, "-l", "app.kubernetes.io/component="+component, "--grace-period=0", "--force").Run()
}

// killProcess has the kernel end the one process of a component, which learns nothing of it.
func (m *operator) killProcess(ctx context.Context, component string) error {
	GinkgoHelper()
	Expect(m.forbidden(ctx)).To(BeEmpty()) // the logs are those of the next one afterwards
	id := m.kubectl(ctx, "get", "pods", "-n", namespace, "-l", "app.kubernetes.io/component="+component,
		"-o", "jsonpath={.items[*].status.containerStatuses[*].containerID}")
	_, err := m.Exec(ctx, "ctr", "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", strings.TrimPrefix(id, "containerd://"))
	return err
}
