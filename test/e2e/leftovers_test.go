// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/gexec"

	"github.com/mirrorset/mirrorset/test/cluster"
)

// traces returns what a cluster could leave on this machine: links, cgroups, mounts, namespaces with processes in them, and
// folders.
func traces() map[string]bool {
	GinkgoHelper()
	all := map[string]bool{}
	links, err := net.Interfaces()
	Expect(err).NotTo(HaveOccurred())
	for _, link := range links {
		all["link "+link.Name] = true
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	Expect(err).NotTo(HaveOccurred())
	for line := range strings.Lines(string(mounts)) {
		all["mount "+line] = true
	}
	for _, pattern := range []string{
		"/sys/fs/cgroup/mirrorset*", "/sys/fs/cgroup/*/mirrorset*", // version 2, version 1
		filepath.Join(os.TempDir(), "mirrorset-cluster-*"), filepath.Join(os.TempDir(), "mirrorset-killed-*"),
	} {
		paths, err := filepath.Glob(pattern)
		Expect(err).NotTo(HaveOccurred())
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil { // by its inode: an older one may be replaced
				all[fmt.Sprintf("folder %s %d", path, info.Sys().(*syscall.Stat_t).Ino)] = true
			}
		}
	}
	for _, process := range namespaces() {
		if namespace, err := os.Readlink(process); err == nil { // it may have ended since
			all["namespace "+namespace] = true
		}
	}
	return all
}

// namespaces returns the files of the namespaces of all processes.
func namespaces() (files []string) {
	GinkgoHelper()
	for _, kind := range []string{"pid", "mnt", "net"} {
		processes, err := filepath.Glob("/proc/[0-9]*/ns/" + kind)
		Expect(err).NotTo(HaveOccurred())
		files = append(files, processes...)
	}
	return files
}

// tracesBefore returns what is there before a cluster starts. It has the namespaces stay until the spec ends, for else the kernel may give one of the
// cluster the number of one that was there.
func tracesBefore() map[string]bool {
	GinkgoHelper()
	kept := map[string]bool{}
	for _, process := range namespaces() {
		namespace, err := os.Readlink(process)
		if err != nil || kept[namespace] {
			continue
		}
		if file, err := os.Open(process); err == nil { // it may have ended since
			kept[namespace] = true
			DeferCleanup(file.Close)
		}
	}
	return traces()
}

// tracesOfPod starts a Pod with a network of its own, and returns what the machine has now that it had not before.
func tracesOfPod(kubectl func(args ...string) *exec.Cmd, before map[string]bool) []string {
	GinkgoHelper()
	for _, args := range [][]string{
		{"run", "idle", "--image", cluster.PauseImage}, {"wait", "--for=condition=Ready", kubectlTimeout, "pod/idle"},
	} {
		out, err := kubectl(args...).CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
	}
	added := slices.DeleteFunc(slices.Sorted(maps.Keys(traces())), func(trace string) bool { return before[trace] })
	for _, kind := range []string{"link mirrorset", "link veth", "folder /sys/fs/cgroup/", "folder " + os.TempDir(), "namespace pid:", "namespace mnt:", "namespace net:"} {
		Expect(added).To(ContainElement(HavePrefix(kind)), "this would prove nothing")
	}
	Expect(added).NotTo(ContainElement(HavePrefix("mount ")), "a mount outside of the node")
	return added
}

// expectGone waits until the machine has none of them any more: the kernel removes links some time after their namespace.
func expectGone(ctx context.Context, added []string) {
	GinkgoHelper()
	Eventually(func() []string {
		now := traces()
		return slices.DeleteFunc(slices.Clone(added), func(trace string) bool { return !now[trace] })
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(200 * time.Millisecond).Should(BeEmpty())
}

var _ = Describe("a cluster that has ended", Serial, func() {
	It("leaves nothing on the machine after Stop", func(ctx SpecContext) {
		before := tracesBefore()
		c, err := cluster.Start(ctx, cluster.Options{Programs: programs(), Log: GinkgoWriter})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(c.Stop)
		added := tracesOfPod(func(args ...string) *exec.Cmd { return c.Kubectl(ctx, args...) }, before)
		Expect(c.Stop()).To(Succeed())
		expectGone(ctx, added)
	}, nodeTimeout)

	It("leaves nothing on the machine when the command that runs it is killed", func(ctx SpecContext) {
		command, err := gexec.Build("github.com/mirrorset/mirrorset/test/cluster/cmd")
		Expect(err).NotTo(HaveOccurred())
		before := tracesBefore()
		folder, err := os.MkdirTemp("", "mirrorset-killed-")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(os.RemoveAll, folder)
		dir := filepath.Join(folder, "cluster")
		session, err := gexec.Start(exec.Command(command, "run", dir, programs()), nil, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { session.Kill().Wait() })
		Eventually(session.Out).WithContext(ctx).WithTimeout(convergeTimeout).Should(gbytes.Say("export KUBECONFIG="))
		added := tracesOfPod(func(args ...string) *exec.Cmd {
			cmd := exec.CommandContext(ctx, filepath.Join(programs(), "kubectl"), args...)
			cmd.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(dir, "admin.kubeconfig"), "KUBECACHEDIR="+filepath.Join(folder, "cache"))
			return cmd
		}, before)
		Expect(session.Kill().Wait().ExitCode()).To(Equal(128 + 9))
		Eventually(func() error { _, err := os.Stat(dir); return err }).WithContext(ctx).WithTimeout(convergeTimeout).Should(MatchError(os.ErrNotExist))
		Expect(os.RemoveAll(folder)).To(Succeed())
		expectGone(ctx, added)
	}, nodeTimeout)
})
