// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"
)

// Fault is an error that the administrator of a host can fix. Its text names the problem, the file or folder, and the remedy.
type Fault struct {
	// Path is below the host's root.
	Path         string
	what, remedy string
	err          error
}

func (f *Fault) Error() string {
	return fmt.Sprintf("/%s: %s; %s", f.Path, f.what, f.remedy)
}

// Unwrap returns the system's own error.
func (f *Fault) Unwrap() error {
	return f.err
}

// remedies are the remedies for errors of the system.
var remedies = map[syscall.Errno]string{
	syscall.ENOSPC: "free disk space or inodes on that file system (df -h, df -i)",
	syscall.EDQUOT: "free some of root's quota on that file system, or raise the quota",
	syscall.EROFS:  "find out from the kernel log (dmesg) why that file system is read-only, then mount it read-write again",
	syscall.EACCES: "give root the file and its folder (chown root:root, and chmod u+rwx on the folder), or look in the audit log for a refusal by SELinux or AppArmor",
	syscall.EPERM:  "remove the chattr attributes from the file and its folder (lsattr -d, chattr -ia)",
	syscall.EIO:    "the disk fails: look at the kernel log (dmesg), and replace the disk",
	syscall.EMFILE: "raise this program's limit of open files (ulimit -n, or LimitNOFILE= of its systemd unit)",
	syscall.ENFILE: "stop the program that holds so many files open on this host (lsof), or raise fs.file-max (sysctl)",
	syscall.ENOMEM: "free memory on this host (free -m), or raise the memory limit of this program",
	syscall.EBUSY:  "stop the program that uses it (fuser -vm), or unmount the file system that is mounted there (findmnt)",
}

// Explain makes a [Fault] of an error about a path below the host's root. It returns an error unchanged if the file is missing or not ours, or if the
// error is not the system's.
func (h *Host) Explain(name string, err error) error {
	if err == nil || errors.Is(err, ErrForeign) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var errno syscall.Errno
	isErrno := errors.As(err, &errno)
	if remedy := remedies[errno]; remedy != "" {
		return &Fault{Path: h.Path(name), what: errno.Error(), remedy: remedy, err: err}
	}
	if !isErrno || errno == syscall.ENOTDIR { // the root of [os.Root] is left, or what is no folder was to be one
		if at, what := h.inTheWay(name); at != "" {
			return &Fault{Path: h.Path(at), what: what, remedy: "replace it with a folder", err: err}
		}
	}
	if isErrno {
		return &Fault{Path: h.Path(name), what: errno.Error(), remedy: "fix or remove the file or folder at that path", err: err}
	}
	return err
}

// inTheWay returns the first part of a path that is not a folder, or is a link that leads nowhere or out of the host's root; "" if all parts are
// folders.
func (h *Host) inTheWay(name string) (at, what string) {
	parent := path.Dir(name)
	if parent == name {
		return "", ""
	}
	if at, what := h.inTheWay(parent); at != "" {
		return at, what
	}
	info, err := h.root.Lstat(name)
	if err != nil || info.IsDir() {
		return "", ""
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return name, "not a folder"
	}
	if to, err := h.root.Stat(name); err != nil || !to.IsDir() {
		return name, "a link that does not lead to a folder the agent may use"
	}
	return "", ""
}
