// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/test/cluster"
)

// podman is a Podman that judges what nodes read.
type podman struct {
	// program is its path.
	program string
}

// The Podmans: the one that `make test-e2e` builds, and Debian's, which is the oldest.
var (
	newPodman = podman{"../../bin/k8s/podman"}
	oldPodman = podman{"/usr/bin/podman"}
	podmans   = []podman{newPodman, oldPodman}
)

// path is where the program is.
func (p podman) path() string {
	GinkgoHelper()
	path, err := filepath.Abs(p.program)
	Expect(err).NotTo(HaveOccurred())
	Expect(path).To(BeAnExistingFile(), "Podman is needed: make test-e2e builds one, and apt-get install podman brings the other")
	return path
}

// inNamespace runs podman where it sees none of the machine's own configuration and can leave nothing behind.
const inNamespace = `mount -n -t tmpfs tmpfs /run && mount -n -t tmpfs tmpfs /var/lib && mount -n --bind "$0" /etc/containers && exec "$@"`

// in returns podman with folder/registries.conf and a storage below the folder.
func (p podman) in(ctx context.Context, folder string, args ...string) *exec.Cmd {
	GinkgoHelper()
	in := func(elements ...string) string { return filepath.Join(folder, filepath.Join(elements...)) }
	put(in("containers.conf"), fmt.Sprintf("[engine]\nlock_type = \"file\"\n[network]\nnetwork_config_dir = %q\n", in("networks")))
	put(in("storage.conf"), fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", in("root"), in("runroot")))
	put(in("etc", "policy.json"), `{"default": [{"type": "insecureAcceptAnything"}]}`)
	Expect(os.MkdirAll(in("tmp"), 0o700)).To(Succeed())
	cmd := exec.CommandContext(ctx, "sh", append([]string{
		"-c", inNamespace, in("etc"), p.path(),
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

// pullOn has the Podman pull an image on the node, into a storage that no other Podman uses, and returns the image's identity.
func (p podman) pullOn(ctx context.Context, c *cluster.Cluster, reference string, flags ...string) (id string, err error) {
	GinkgoHelper()
	path := p.path()
	folder := filepath.Base(filepath.Dir(path))
	args := []string{"--log-level", "error", "--root", "/var/lib/containers/" + folder, "--runroot", "/run/containers/" + folder, "--tmpdir", "/run/libpod/" + folder, "pull", "--quiet"}
	return c.Exec(ctx, path, append(append(args, flags...), reference)...)
}

// expectPulledOn is [podman.pullOn] for an image that must come.
func (p podman) expectPulledOn(ctx context.Context, c *cluster.Cluster, reference string, image v1.Image, flags ...string) {
	GinkgoHelper()
	id, err := p.pullOn(ctx, c, reference, flags...)
	Expect(err).NotTo(HaveOccurred())
	want, err := image.ConfigName()
	Expect(err).NotTo(HaveOccurred())
	Expect(strings.TrimSpace(id)).To(Equal(want.Hex), "%s", id)
}
