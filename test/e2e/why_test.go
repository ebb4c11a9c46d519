// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// reasons is the part of `kubectl mirrors why -o json` that a Pod can be held against.
type reasons struct {
	Waits      bool `json:"waits"`
	Containers []struct {
		Name     string `json:"name"`
		Findings []struct {
			Cause   string `json:"cause"`
			Message string `json:"message"`
			Remedy  string `json:"remedy"`
		} `json:"findings"`
	} `json:"containers"`
}

// why runs the command of docs/how-to/image-pull-backoff.md, and reports what it prints to people.
func (s *site) why(ctx context.Context, pod *corev1.Pod) reasons {
	GinkgoHelper()
	ask := func(args string, code int) string {
		GinkgoHelper()
		var stderr strings.Builder
		command := strings.TrimSpace(blocksOf(howTo("image-pull-backoff.md"), "bash")[0])
		cmd := s.shell(ctx, strings.TrimSuffix(command, "app")+pod.Name+args)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			Expect(err).NotTo(HaveOccurred())
		}
		AddReportEntry("kubectl mirrors why", string(out)+stderr.String(), ReportEntryVisibilityAlways)
		Expect(cmd.ProcessState.ExitCode()).To(Equal(code), "%s%s", out, stderr.String())
		return string(out)
	}
	var found reasons
	text := ask(" -o json", 1)
	Expect(json.Unmarshal([]byte(text), &found)).To(Succeed())
	ask("", 1)
	return found
}

// refusedPod is a Pod whose image could not be pulled, once the kubelet says so.
func (s *site) refusedPod(ctx context.Context, image string) *corev1.Pod {
	GinkgoHelper()
	pod := createPod(ctx, s.Cluster, image, true)
	Eventually(func(g Gomega) {
		now, err := s.Client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(now.Status.ContainerStatuses).To(HaveLen(1))
		waiting := now.Status.ContainerStatuses[0].State.Waiting
		g.Expect(waiting).NotTo(BeNil())
		g.Expect(waiting.Reason).To(Or(Equal("ErrImagePull"), Equal("ImagePullBackOff")))
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(100 * time.Millisecond).Should(Succeed())
	return pod
}

// expectCause wants the first finding to be this one, with these parts, and returns its remedy.
func (s *site) expectCause(ctx context.Context, pod *corev1.Pod, cause string, parts ...string) (remedy string) {
	GinkgoHelper()
	found := s.why(ctx, pod)
	Expect(found.Waits).To(BeTrue())
	Expect(found.Containers).To(HaveLen(1))
	first := found.Containers[0].Findings[0]
	Expect(first.Cause).To(Equal(cause), "%s", first.Message)
	Expect(first.Message).To(And(containAll(parts)...))
	return first.Remedy
}

// follow runs those lines of a remedy that are commands of kubectl, in a folder.
func (s *site) follow(ctx context.Context, folder, remedy string, values ...string) {
	GinkgoHelper()
	for line := range strings.Lines(remedy) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "kubectl -n") {
			cmd := s.shell(ctx, strings.NewReplacer(values...).Replace(line))
			cmd.Dir = folder
			run(cmd)
		}
	}
}

func noDigest() string {
	sum := make([]byte, 32)
	_, _ = rand.Read(sum)
	return "@sha256:" + hex.EncodeToString(sum)
}

var _ = Describe("kubectl mirrors why", Label("why"), func() {
	var (
		s      *site
		image  v1.Image
		digest string
	)

	BeforeEach(func(ctx SpecContext) {
		s = newSite(ctx)
		image, digest = newImage(ctx)
	}, setUpTimeout)

	It("knows a digest that nobody has", func(ctx SpecContext) {
		s.source.push(ctx, "open/app", image)
		s.first.push(ctx, "copy/app", image)
		s.apply(ctx, []string{mirrored("0")}, never("30-airgap", s.source.host+"/team", s.first.host+"/copy"), set("20-open", s.source.host+"/open", s.first.host+"/copy"))
		s.expectCause(ctx, s.refusedPod(ctx, s.source.host+"/team/app"+noDigest()), "NobodyHasIt", s.first.host+"/copy/app did not have it", "is blocked by 30-airgap")
		s.expectCause(ctx, s.refusedPod(ctx, s.source.host+"/open/app"+noDigest()), "NobodyGaveIt", s.first.host+"/copy/app did not have it", "the source")
	}, nodeTimeout)

	It("knows a tag that is blocked, and shows the set that opens a way", func(ctx SpecContext) {
		s.first.push(ctx, "copy/app", image)
		s.apply(ctx, []string{mirrored("source")}, never("30-airgap", s.source.host+"/team", s.first.host+"/copy"))
		pod := s.refusedPod(ctx, s.source.host+"/team/app:1")
		remedy := s.expectCause(ctx, pod, "BlockedTag", s.source.host+"/team", "blocked by 30-airgap", "no mirror for tags")
		_, manifest, found := strings.Cut(remedy, "\n\n")
		Expect(found).To(BeTrue(), remedy)
		s.apply(ctx, []string{mirrored("0")}, strings.Replace(manifest, "NAME", "30-airgap", 1)+"\n")
		expectRunning(ctx, s.Cluster, pod)
	}, nodeTimeout)

	It("knows a mirror that is down, with the source blocked, and with a source that is down too", func(ctx SpecContext) {
		s.apply(ctx, []string{mirrored("0")}, never("30-airgap", s.source.host+"/team", s.first.host+"/copy"), set("20-open", s.source.host+"/open", s.first.host+"/copy"),
			never("40-silent", s.source.host+"/silent", s.second.host+"/copy"))
		s.first.stop()
		s.source.stop()
		s.second.answer = badAnswers["hangs"]
		s.expectCause(ctx, s.refusedPod(ctx, s.source.host+"/team/app"+digest), "MirrorDown", s.first.host+"/copy/app could not be reached", "is blocked by 30-airgap")
		s.expectCause(ctx, s.refusedPod(ctx, s.source.host+"/open/app"+digest), "MirrorDown", s.first.host+"/copy/app could not be reached")
		s.expectCause(ctx, s.refusedPod(ctx, s.source.host+"/silent/app"+digest), "MirrorDown", s.second.host+"/copy/app did not answer in time")
	}, nodeTimeout)

	It("knows a mirror that wants a login, and the commands that give it", func(ctx SpecContext) {
		s.first.push(ctx, "copy/app", image)
		wantBasic(s.first)
		s.apply(ctx, []string{mirrored("0")}, never("30-airgap", s.source.host+"/team", s.first.host+"/copy"))
		DeferCleanup(s.revoke, cleanUpTimeout)
		pod := s.refusedPod(ctx, s.source.host+"/team/app"+digest)
		remedy := s.expectCause(ctx, pod, "CameBack", s.first.host+"/copy/app refused the runtime or did not have it", "is blocked by 30-airgap")
		s.follow(ctx, GinkgoT().TempDir(), remedy, "USER", user, "PASSWORD", `"`+password+`"`)
		expectRunning(ctx, s.Cluster, pod)
	}, nodeTimeout)

	It("knows an authority that the node does not know, and the command that makes it known", func(ctx SpecContext) {
		own := newOwnCA("first.site.test")
		mirror := startTLSRegistry("private", "first.site.test", own.certificate, nil, s.seen)
		mirror.push(ctx, "copy/app", image)
		s.apply(ctx, []string{mirrored("0")}, never("30-airgap", s.source.host+"/team", mirror.host+"/copy"))
		DeferCleanup(s.revoke, cleanUpTimeout)
		pod := s.refusedPod(ctx, s.source.host+"/team/app"+digest)
		remedy := s.expectCause(ctx, pod, "UnknownAuthority", mirror.host+"/copy/app", "is blocked by 30-airgap")
		folder := GinkgoT().TempDir()
		put(filepath.Join(folder, "ca.crt"), own.ca)
		s.follow(ctx, folder, remedy)
		expectRunning(ctx, s.Cluster, pod)
	}, nodeTimeout)

	It("knows a runtime that does not read the rules", func(ctx SpecContext) {
		s.first.push(ctx, "copy/app", image)
		s.apply(ctx, []string{mirrored("0")}, set("20-team", s.source.host+"/team", s.first.host+"/copy"))
		s.source.stop()
		config := s.Path("/etc/containerd/config.toml")
		good, err := os.ReadFile(config)
		Expect(err).NotTo(HaveOccurred())
		mend := func(ctx context.Context) {
			put(config, string(good))
			Expect(s.RestartContainerd(ctx)).To(Succeed())
		}
		DeferCleanup(mend, cleanUpTimeout)
		put(config, strings.Replace(string(good), `config_path = "/etc/containerd/certs.d"`, `config_path = ""`, 1))
		Expect(s.RestartContainerd(ctx)).To(Succeed())
		pod := s.refusedPod(ctx, s.source.host+"/team/app"+digest)
		s.kubectl(ctx, "wait", "--for=condition=RuntimeReady=False", kubectlTimeout, "mirrornodes", "--all")
		remedy := s.expectCause(ctx, pod, "RuntimeNotReady", "does not read the rules", "the source could not be reached")
		Expect(remedy).To(ContainSubstring("config_path"))
		mend(ctx)
		expectRunning(ctx, s.Cluster, pod)
	}, nodeTimeout)
})
