// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const (
	pullTimeout   = 60 * time.Second
	pluginTimeout = 20 * time.Second
)

// explanation is the part of `kubectl mirrors explain -o json` that a pull can be held against.
type explanation struct {
	Source      string `json:"source"`
	Blocked     bool   `json:"blocked"`
	PullSources []struct {
		Location string `json:"location"`
	} `json:"pullSources"`
}

// locations returns the pull sources in order.
func (e explanation) locations() []string {
	all := make([]string, 0, len(e.PullSources))
	for _, s := range e.PullSources {
		all = append(all, s.Location)
	}
	return all
}

// pulled is what one pull left behind.
type pulled struct {
	explained explanation
	err       error
	imageID   string
	tried     []string // the references that podman tried, in order, its retries included
	refused   []string // those that it would have tried, had they not been blocked
	stderr    string
}

// pullWithSets writes the manifests to a file, has the plugin make a registries.conf of it, and pulls the image with
// podman in a storage of its own.
func pullWithSets(ctx context.Context, image string, insecure []string, manifests ...string) pulled {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	file := filepath.Join(folder, "sets.yaml")
	put(file, strings.Join(manifests, "---\n"))
	args := []string{"render", "-f", file}
	for _, host := range insecure {
		args = append(args, "--insecure-registry", host)
	}
	put(filepath.Join(folder, "registries.conf"), runPlugin(ctx, args...))

	var p pulled
	Expect(json.Unmarshal([]byte(runPlugin(ctx, "explain", image, "-f", file, "-o", "json")), &p.explained)).To(Succeed())
	p.podman(ctx, folder, image)
	expectNothingLeft(folder)
	return p
}

func put(path, text string) {
	GinkgoHelper()
	Expect(os.MkdirAll(filepath.Dir(path), 0o700)).To(Succeed())
	Expect(os.WriteFile(path, []byte(text), 0o600)).To(Succeed())
}

// runPlugin returns what the plugin prints to standard output.
func runPlugin(ctx context.Context, args ...string) string {
	GinkgoHelper()
	ctx, cancel := context.WithTimeout(ctx, pluginTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, kubectlMirrors, args...).Output()
	Expect(err).NotTo(HaveOccurred())
	return string(out)
}

// The patterns find references in podman's debug log: those that it tried, and those of them that its configuration refused
// before any connection.
var (
	triedPattern   = regexp.MustCompile(`msg="Trying to access \\"([^"\\]+)\\""`)
	refusedPattern = regexp.MustCompile(`msg="Accessing \\"([^"\\]+)\\" failed: registry \S+ is blocked in `)
)

// inNamespace runs podman where it sees none of the machine's own configuration and can leave nothing behind.
const inNamespace = `mount -n -t tmpfs tmpfs /run && mount -n -t tmpfs tmpfs /var/lib && mount -n --bind "$0" /etc/containers && exec podman "$@"`

// podman pulls with folder/registries.conf into a storage below the folder.
func (p *pulled) podman(ctx context.Context, folder, image string) {
	GinkgoHelper()
	put(filepath.Join(folder, "auth.json"), "{}\n")
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	cmd := podmanIn(ctx, folder, "pull", "--quiet", "--authfile", filepath.Join(folder, "auth.json"), image)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	p.err = cmd.Run()
	Expect(ctx.Err()).NotTo(HaveOccurred(), "podman took too long:\n%s", stderr.String())
	p.stderr = stderr.String()
	p.imageID = strings.TrimSpace(stdout.String())
	p.refused = found(refusedPattern, p.stderr)
	p.tried = slices.DeleteFunc(found(triedPattern, p.stderr), func(ref string) bool { return slices.Contains(p.refused, ref) })
}

// podmanIn returns podman with folder/registries.conf and a storage below the folder.
func podmanIn(ctx context.Context, folder string, args ...string) *exec.Cmd {
	GinkgoHelper()
	in := func(elements ...string) string { return filepath.Join(folder, filepath.Join(elements...)) }
	put(in("containers.conf"), fmt.Sprintf("[engine]\nlock_type = \"file\"\n[network]\nnetwork_config_dir = %q\n", in("networks")))
	put(in("storage.conf"), fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", in("root"), in("runroot")))
	put(in("etc", "policy.json"), `{"default": [{"type": "insecureAcceptAnything"}]}`)
	Expect(os.MkdirAll(in("tmp"), 0o700)).To(Succeed())
	cmd := exec.CommandContext(ctx, "sh", append([]string{
		"-c", inNamespace, in("etc"),
		"--log-level", "debug", "--cgroup-manager", "cgroupfs", "--events-backend", "none",
		"--storage-driver", "vfs", "--root", in("root"), "--runroot", in("runroot"), "--tmpdir", in("tmp"),
	}, args...)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + in("home"), "XDG_RUNTIME_DIR=" + in("tmp"), "TMPDIR=" + in("tmp"),
		"CONTAINERS_CONF=" + in("containers.conf"), "CONTAINERS_STORAGE_CONF=" + in("storage.conf"),
		"CONTAINERS_REGISTRIES_CONF=" + in("registries.conf"),
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Unshareflags: syscall.CLONE_NEWNS}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// found returns what the first group matched, wherever the pattern did.
func found(pattern *regexp.Regexp, text string) []string {
	all := []string{}
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

// expectNothingLeft looks for mounts below the folder and for processes that were told of it.
func expectNothingLeft(folder string) {
	GinkgoHelper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	Expect(err).NotTo(HaveOccurred())
	Expect(string(mounts)).NotTo(ContainSubstring(folder), "a mount is left")
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	Expect(err).NotTo(HaveOccurred())
	for _, process := range processes {
		if line, err := os.ReadFile(process); err == nil { // it may have ended since
			Expect(string(line)).NotTo(ContainSubstring(folder), "a process is left")
		}
	}
}
