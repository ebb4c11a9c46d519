// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// convergeTimeout is when a spec gives a change up. It is no promise of speed: a manager that was just killed waits 15 seconds for the
// lease, and on a machine whose disk stalls it can lose that again and be held back by the kubelet.
const convergeTimeout = 3 * time.Minute

// kubectlTimeout is the same for kubectl.
const kubectlTimeout = "--timeout=3m"

// scene is Mirrorset and three registries that it takes for insecure, for one spec.
type scene struct {
	*operator
	seen                   *traffic
	source, mirror, second *countedRegistry
}

func newScene(ctx context.Context) *scene {
	GinkgoHelper()
	s := &scene{operator: mirrorset(ctx), seen: &traffic{}}
	s.source = startRegistryAt("source", s.hosts[0], s.seen)
	s.mirror = startRegistryAt("mirror", s.hosts[1], s.seen)
	s.second = startRegistryAt("second mirror", s.hosts[2], s.seen)
	return s
}

// apply applies sets and waits until the node's registries.conf says what all sets of the cluster say, and, where containerd
// is to ask anybody for images of the source, until its hosts.toml does. After the spec, all sets are deleted.
func (s *scene) apply(ctx context.Context, containerdAsks []string, manifests ...string) {
	GinkgoHelper()
	DeferCleanup(func(ctx SpecContext) {
		if installed != nil {
			s.deleteSets(ctx)
		}
	}, cleanUpTimeout)
	cmd := s.Kubectl(ctx, "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(strings.Join(manifests, "---\n"))
	started := time.Now()
	run(cmd)
	s.expectFollowed(ctx, containerdAsks)
	reportTime("the sets were in force after", started)
	s.expectTried(ctx)
}

// expectTried waits until the node has tried the change for the images that it runs: it asks registries for them, as pulls do.
func (s *scene) expectTried(ctx context.Context) {
	GinkgoHelper()
	Eventually(func() string {
		return s.kubectl(ctx, "get", "mirrornodes", "-o", `jsonpath={.items[*].status.revision} {.items[*].status.trial.state}`)
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(100 * time.Millisecond).Should(MatchRegexp(`^%d (Passed|Failed)?$`, s.published(ctx)))
}

// deleteSets deletes all sets, and waits until the node has no file of ours.
func (s *scene) deleteSets(ctx context.Context) {
	GinkgoHelper()
	s.kubectl(ctx, "delete", "imagedigestmirrorsets,imagetagmirrorsets", "--all")
	Eventually(s.remains).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(50 * time.Millisecond).Should(BeEmpty())
}

// expectFollowed waits until the node says what the sets say, in the eyes of `kubectl mirrors render`.
func (s *scene) expectFollowed(ctx context.Context, containerdAsks []string) {
	GinkgoHelper()
	file := filepath.Join(GinkgoT().TempDir(), "sets.yaml")
	put(file, s.kubectl(ctx, "get", "idms,itms", "-o", "yaml"))
	args := []string{"render", "-f", file}
	for _, host := range s.hosts {
		args = append(args, "--insecure-registry", host)
	}
	want := runPlugin(ctx, args...)
	Eventually(func(g Gomega) {
		text, err := os.ReadFile(s.Path(dropIn))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(text)).To(Equal(want))
		g.Expect(s.containerdAsks()).To(Equal(containerdAsks))
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(20 * time.Millisecond).Should(Succeed())
}

var endpointPattern = regexp.MustCompile(`(?m)^(server = |\[host\.)"https?://([^/"]+)`)

// containerdAsks returns the hosts that containerd asks for images of the source past the redirector, in order, as our file for it says; nil
// where there is none.
func (s *scene) containerdAsks() []string {
	text, err := os.ReadFile(s.Path(certsFolder(s.source.host) + "/hosts.toml"))
	if err != nil {
		return nil
	}
	var hosts []string
	server := ""
	for _, match := range endpointPattern.FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(match[1], "server") {
			server = match[2]
		} else {
			hosts = append(hosts, match[2])
		}
	}
	return slices.Compact(slices.DeleteFunc(append(hosts, server), func(host string) bool { return host == "127.0.0.1:289" }))
}

// expectPulled has a Pod start from an image that the node does not have, and returns it.
func (s *scene) expectPulled(ctx context.Context, reference string) {
	GinkgoHelper()
	s.seen.forget()
	started := time.Now()
	expectRunning(ctx, s.Cluster, createPod(ctx, s.Cluster, reference, true))
	reportTime("the Pod was Ready after", started)
	s.report()
}

// expectRefused has a Pod fail to get its image, and returns the reason.
func (s *scene) expectRefused(ctx context.Context, reference string) string {
	GinkgoHelper()
	s.seen.forget()
	pod := createPod(ctx, s.Cluster, reference, true)
	var waiting *corev1.ContainerStateWaiting
	Eventually(func(g Gomega) {
		now, err := s.Client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(now.Status.ContainerStatuses).To(HaveLen(1))
		waiting = now.Status.ContainerStatuses[0].State.Waiting
		g.Expect(waiting).NotTo(BeNil())
		// Message has why the first attempt failed; after it comes one that only says "back-off".
		g.Expect(waiting.Reason).To(Or(Equal("ErrImagePull"), Equal("ImagePullBackOff")))
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(100 * time.Millisecond).Should(Succeed())
	AddReportEntry("kubelet says", waiting.Message, ReportEntryVisibilityAlways)
	s.report()
	return waiting.Message
}

// expectPodman has each Podman pull an image of the source on the node, which it must get from the mirror.
func (s *scene) expectPodman(ctx context.Context, repository string, image v1.Image, digest string) {
	GinkgoHelper()
	for _, p := range podmans {
		s.seen.forget()
		p.expectPulledOn(ctx, s.Cluster, s.source.host+repository+digest, image)
		Expect(s.seen.asked()).To(Equal([]string{s.mirror.name}))
		s.report()
	}
}

func (s *scene) report() {
	s.seen.report([]*countedRegistry{s.source, s.mirror, s.second})
}

// expectUntouched wants that not even a connection was made.
func (s *scene) expectUntouched(registries ...*countedRegistry) {
	GinkgoHelper()
	for _, r := range registries {
		connections, requests := s.seen.count(r.name)
		Expect(requests).To(BeZero(), "requests to the %s", r.name)
		Expect(connections).To(BeZero(), "connections to the %s", r.name)
	}
}

// processes returns which processes of the node have these names, with what is different when one was started again.
func (s *scene) processes(names ...string) map[string]string {
	GinkgoHelper()
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", s.InitPID()))
	Expect(err).NotTo(HaveOccurred())
	folders, err := filepath.Glob("/proc/[0-9]*")
	Expect(err).NotTo(HaveOccurred())
	found := map[string]string{}
	for _, folder := range folders {
		stat, err := os.ReadFile(filepath.Join(folder, "stat"))
		if in, linkErr := os.Readlink(filepath.Join(folder, "ns/pid")); err != nil || linkErr != nil || in != space {
			continue // it may have ended since
		}
		before, after, _ := strings.Cut(string(stat), ") ")
		pid, name, _ := strings.Cut(before, " (")
		if slices.Contains(names, name) {
			found[name] = fmt.Sprintf("pid %s started at %s", pid, strings.Fields(after)[19])
		}
	}
	Expect(found).To(HaveLen(len(names)), "%v", names)
	return found
}

// pods returns the Pods of Mirrorset, with what is different when one of their containers was started again.
func (m *operator) pods(ctx context.Context) map[string]string {
	GinkgoHelper()
	pods, err := m.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	Expect(err).NotTo(HaveOccurred())
	found := map[string]string{}
	for i := range pods.Items {
		for _, status := range pods.Items[i].Status.ContainerStatuses {
			found[pods.Items[i].Name] = status.ContainerID
		}
	}
	return found
}

// logged waits until a component logs a line with all of these, and returns its message.
func (m *operator) logged(ctx context.Context, component string, parts ...string) string {
	GinkgoHelper()
	var line struct {
		Msg string `json:"msg"`
	}
	Eventually(func(g Gomega) {
		lines := strings.Split(m.logsOf(ctx, component), "\n")
		at := slices.IndexFunc(lines, func(line string) bool {
			return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) })
		})
		g.Expect(at).NotTo(Equal(-1), "%q in\n%s", parts, strings.Join(lines, "\n"))
		g.Expect(json.Unmarshal([]byte(lines[at]), &line)).To(Succeed())
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(300 * time.Millisecond).Should(Succeed())
	AddReportEntry("the "+component+" logs", line.Msg, ReportEntryVisibilityAlways)
	return line.Msg
}
