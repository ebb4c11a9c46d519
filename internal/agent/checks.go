// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// check tells whether the runtimes of this host read what is written for them.
func (n *node) check() nodecheck.Report {
	mounts := map[string]string{n.settings.CertsDir: certsDir}
	if n.settings.ContainerdConfigDir != "" {
		mounts[path.Dir(n.settings.ContainerdConfig)] = n.settings.ContainerdConfigDir
	}
	report := nodecheck.Check(nodecheck.Node{
		Root:             n.host.FS(),
		Mounts:           mounts,
		ContainerdConfig: n.settings.ContainerdConfig,
		CertsDir:         n.settings.CertsDir,
		RuntimeVersion:   n.runtimeVersion(),
		Booted:           booted(),
		DropInsBorn:      born(n.host.FS(), nodecheck.DropInsDir),
	})
	if n.settings.ReloadCRIO { // it is told of each change
		report.Problems = slices.DeleteFunc(report.Problems, func(p nodecheck.Problem) bool {
			return p.Runtime == nodecheck.CRIO && p.Effect == nodecheck.Late
		})
	}
	return report
}

// problems are what the check found, for people to read.
func problems(report nodecheck.Report) []Finding {
	findings := make([]Finding, 0, len(report.Problems))
	for _, p := range report.Problems {
		findings = append(findings, Finding{Reason: Reason(p.Reason), Message: p.Message + "\n" + p.Remedy, Runtime: p.Runtime})
	}
	return findings
}

// checkedFolders are those of the runtimes' configuration.
func (n *node) checkedFolders() []string {
	containerd := n.settings.ContainerdConfigDir
	if containerd == "" {
		containerd = strings.TrimPrefix(path.Dir(n.settings.ContainerdConfig), "/")
	}
	return []string{containerd, "etc/crio", "etc/crio/crio.conf.d"}
}

// replaced tells whether the host has another folder now in the place of containerd's that this Pod has mounted. What is
// written would no longer reach containerd, until the container is started anew.
func (n *node) replaced() error {
	if n.settings.ContainerdConfigDir == "" || path.Dir(n.settings.CertsDir) != path.Dir(n.settings.ContainerdConfig) {
		return nil // it cannot be told
	}
	mounted, err := fs.Stat(n.host.FS(), certsDir)
	if err != nil {
		return nil // there is none to be replaced
	}
	there, err := n.host.Lstat(path.Join(n.settings.ContainerdConfigDir, path.Base(n.settings.CertsDir)))
	if err == nil && (there.Mode()&fs.ModeSymlink != 0 || os.SameFile(mounted, there)) {
		return nil
	}
	return fmt.Errorf("%s was replaced on the host, and has to be mounted anew", n.settings.CertsDir)
}

// booted returns when the machine was started; zero if that cannot be told. The kernel counts whole seconds, so it is asked once.
var booted = sync.OnceValue(func() time.Time {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(info.Uptime) * time.Second)
})

// born returns when a file was created; zero where there is none, or the file system does not keep it.
func born(files fs.FS, name string) time.Time {
	opened, err := files.Open(name)
	if err != nil {
		return time.Time{}
	}
	defer func() { _ = opened.Close() }() // it was only asked
	file, ok := opened.(*os.File)
	var stat unix.Statx_t
	if !ok || unix.Statx(int(file.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &stat) != nil || stat.Mask&unix.STATX_BTIME == 0 {
		return time.Time{}
	}
	return time.Unix(stat.Btime.Sec, int64(stat.Btime.Nsec))
}
