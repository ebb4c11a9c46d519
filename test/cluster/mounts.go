// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ownFolders are those where the node has folders of its own, on a plain file system: they are below dir/root.
var ownFolders = []string{
	"/etc/cni", "/etc/containerd", "/etc/containers", "/opt/cni", "/var/lib/cni", "/var/lib/containerd", "/var/lib/containers",
	"/var/lib/kubelet", "/var/lib/mirrorset", "/var/log/containers", "/var/log/pods",
}

// layered are the machine's folders that the node sees but cannot change: what it writes goes to memory of its own.
var layered = []string{"/etc", "/opt", "/var/lib", "/var/log"}

// kernelSettings are files that show the node's programs what they would otherwise set for the whole machine.
var kernelSettings = map[string]string{
	"kernel/keys/root_maxbytes": "25000000",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"net/ipv4/ip_forward":       "1",
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
}

// mountNode mounts in this process's own mount namespace; all of it ends with the last process in it. The machine's mounts are
// followed, and nothing gets back to it. Among the node's own processes mounts propagate, as kubelet and containerd want.
func mountNode(dir string) error {
	real, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = real.Close() }()
	memory := filepath.Join(dir, "memory")
	steps := []step{
		mount("none", "/", "", unix.MS_REC|unix.MS_SLAVE, ""),
		mount("none", "/", "", unix.MS_REC|unix.MS_SHARED, ""),
		mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""),
		makeDir(memory),
		mount("tmpfs", memory, "tmpfs", 0, "mode=755"),
		mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"),
	}
	for i, folder := range layered {
		upper, work := filepath.Join(memory, fmt.Sprint(i)), filepath.Join(memory, fmt.Sprint(i, "-work"))
		steps = append(steps, makeDir(upper), makeDir(work),
			mount("overlay", folder, "overlay", 0, "lowerdir="+folder+",upperdir="+upper+",workdir="+work))
	}
	// Wherever the folder is, the mounts so far do not hide it.
	steps = append(steps, makeDir(dir), mount(fmt.Sprintf("/proc/self/fd/%d", real.Fd()), dir, "", unix.MS_BIND|unix.MS_REC, ""))
	for _, folder := range ownFolders {
		own := filepath.Join(dir, "root", folder)
		steps = append(steps, makeDir(own), makeDir(folder), mount(own, folder, "", unix.MS_BIND, ""))
	}
	for name, value := range kernelSettings {
		file := filepath.Join(memory, strings.ReplaceAll(name, "/", "."))
		steps = append(steps, func() error { return os.WriteFile(file, []byte(value+"\n"), 0o644) },
			mount(file, filepath.Join("/proc/sys", name), "", unix.MS_BIND, ""))
	}
	for _, do := range steps {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

type step func() error

func makeDir(path string) step {
	return func() error { return os.MkdirAll(path, 0o755) }
}

func mount(source, target, kind string, flags uintptr, data string) step {
	return func() error {
		if err := unix.Mount(source, target, kind, flags, data); err != nil {
			return fmt.Errorf("mounting %s (%s) at %s: %w", source, kind, target, err)
		}
		return nil
	}
}

// A mountPoint is a line of /proc/self/mountinfo.
type mountPoint struct{ path, kind string }

func readMounts() ([]mountPoint, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var all []mountPoint
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		kind, _, _ := strings.Cut(after, " ")
		if len(fields) >= 5 {
			all = append(all, mountPoint{path: fields[4], kind: kind})
		}
	}
	return all, lines.Err()
}

// removeDir removes the folder and what was mounted below it.
func removeDir(dir string) error {
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	for i := len(mounts) - 1; i >= 0; i-- {
		if path := mounts[i].path; path == dir || strings.HasPrefix(path, dir+"/") {
			_ = unix.Unmount(path, unix.MNT_DETACH) // what stays makes the removal fail
		}
	}
	return os.RemoveAll(dir)
}

// cgroups returns the folder of that name in each hierarchy.
func cgroups(mounts []mountPoint, name string) []string {
	var all []string
	for _, m := range mounts {
		if m.kind == "cgroup" || m.kind == "cgroup2" {
			all = append(all, filepath.Join(m.path, name))
		}
	}
	return all
}

// makeCgroups makes the cgroup below which kubelet puts those of its Pods.
func makeCgroups(mounts []mountPoint, name string) error {
	for _, path := range cgroups(mounts, name) {
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroups removes the cgroup and all below it. Its processes have ended, which the kernel may take a moment to see.
func removeCgroups(mounts []mountPoint, name string) error {
	return poll(10*time.Second, func() error {
		var errs []error
		for _, path := range cgroups(mounts, name) {
			errs = append(errs, removeCgroup(path))
		}
		return errors.Join(errs...)
	})
}

func removeCgroup(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if entry.IsDir() {
			err = errors.Join(err, removeCgroup(filepath.Join(path, entry.Name())))
		}
	}
	if err == nil {
		err = unix.Rmdir(path)
	}
	if err != nil {
		return fmt.Errorf("removing the cgroup %s: %w", path, err)
	}
	return nil
}
