// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// fault is something that a host's disk can have.
type fault struct {
	name string
	// make brings it about, and returns what ends it.
	make func(n *node) (mend func() error, err error)
	// says are what the node and the agent's log have to say of it, in any order; nothing where the agent gets on all the same, and all is in force.
	says []string
	// puts are the beginnings of the paths of what it puts on the host.
	puts []string
	// taken is the registry whose file the fault removes; "all" for all of them.
	taken string
	// limits are those of inotify; empty for those of the machine.
	limits [2]string
}

// put reports whether the fault put a path there.
func (f fault) put(path string) bool {
	if path, ok := strings.CutPrefix(path, diskOf(path)+"/"); ok && (strings.HasPrefix(path, "aside") || path == "theirs" || strings.HasPrefix(path, "filler")) {
		return true
	}
	return slices.ContainsFunc(f.puts, func(name string) bool { return strings.HasPrefix(path, name) })
}

// nobody is the owner of files that the agent may not read.
const nobody = 65534

// fill fills the disk that a path is on, up to its last byte, or to its last file.
func fill(path string, withFiles bool) func(*node) (func() error, error) {
	return func(n *node) (func() error, error) {
		folder := filepath.Join(n.path(path), "filler")
		mend := func() error { return os.RemoveAll(folder) }
		if err := os.Mkdir(folder, 0o755); err != nil {
			return nil, err
		}
		if withFiles {
			if err := unix.Mount("", n.path(path), "", unix.MS_REMOUNT, "nr_inodes=1000"); err != nil {
				return nil, err
			}
			for i := 0; ; i++ {
				if err := os.WriteFile(filepath.Join(folder, fmt.Sprint(i)), nil, 0o644); err != nil {
					return mend, onlyFull(err)
				}
			}
		}
		file, err := os.Create(filepath.Join(folder, "file"))
		for block := make([]byte, 4096); err == nil; {
			_, err = file.Write(block)
		}
		return mend, errors.Join(onlyFull(err), file.Close())
	}
}

func onlyFull(err error) error {
	if errors.Is(err, unix.ENOSPC) {
		return nil
	}
	return err
}

// freeze makes the disk at a path read-only.
func freeze(path string) func(*node) (func() error, error) {
	return func(n *node) (func() error, error) {
		thaw := func() error { return unix.Mount("", n.path(path), "", unix.MS_REMOUNT, "") }
		return thaw, unix.Mount("", n.path(path), "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
}

// restrict gives a file or a folder another owner and other rights.
func restrict(path string, owner int, mode fs.FileMode) func(*node) (func() error, error) {
	return func(n *node) (func() error, error) {
		info, err := os.Lstat(n.path(path))
		if err != nil {
			return nil, err
		}
		mend := func() error {
			return errors.Join(os.Chown(n.path(path), 0, 0), os.Chmod(n.path(path), info.Mode().Perm()))
		}
		return mend, errors.Join(os.Chown(n.path(path), owner, owner), os.Chmod(n.path(path), mode))
	}
}

// pin makes a file or a folder immutable.
func pin(path string) func(*node) (func() error, error) {
	const immutable = 0x10 // FS_IMMUTABLE_FL
	return func(n *node) (func() error, error) {
		set := func(flags int) (err error) {
			file, err := os.Open(n.path(path))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, file.Close()) }()
			return unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, flags)
		}
		return func() error { return set(0) }, set(immutable)
	}
}

// intruders are what can be in the place of a file or a folder.
var intruders = map[string]func(n *node, at string) error{
	"a directory": func(_ *node, at string) error { return os.MkdirAll(filepath.Join(at, "theirs"), 0o755) },
	"a symlink":   func(n *node, at string) error { return os.Symlink(filepath.Join(n.outside(), "precious"), at) },
	"a pipe":      func(_ *node, at string) error { return unix.Mkfifo(at, 0o644) },
	"a file":      func(_ *node, at string) error { return os.WriteFile(at, []byte("theirs\n"), 0o644) },
	"a symlink to a folder": func(n *node, at string) error {
		return os.Symlink(filepath.Join("../../..", "../"+filepath.Base(n.outside()), "folder"), at)
	},
	"a symlink with an absolute name to a folder": func(n *node, at string) error {
		return os.Symlink(filepath.Join(n.outside(), "folder"), at)
	},
}

// replace puts something in the place of a file or a folder, and moves the old one aside on the same disk until the fault ends. Then a folder comes
// back. The agent must write a file again.
func replace(path, kind string) func(*node) (func() error, error) {
	return func(n *node) (func() error, error) {
		at, aside := n.path(path), n.path(diskOf(path)+"/aside")
		info, err := os.Lstat(at)
		if err != nil {
			return nil, err
		}
		mend := func() error {
			if !info.IsDir() {
				return errors.Join(os.RemoveAll(at), os.RemoveAll(aside))
			}
			return errors.Join(exchange(aside, at), os.RemoveAll(aside))
		}
		return mend, errors.Join(intruders[kind](n, aside), exchange(aside, at))
	}
}

// exchange swaps two files or folders in one step, so that no agent finds one of them missing.
func exchange(one, other string) error {
	return unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
}

// diskOf returns the disk that a path is on.
func diskOf(path string) string {
	for _, disk := range disks {
		if strings.HasPrefix(path, disk+"/") {
			return disk
		}
	}
	return ""
}

// link makes a file another name of a file that does not concern the agent.
func link(path string) func(*node) (func() error, error) {
	return func(n *node) (func() error, error) {
		theirs := n.path(diskOf(path) + "/theirs")
		mend := func() error {
			content, err := os.ReadFile(theirs)
			if err == nil && string(content) != "theirs\n" {
				err = fmt.Errorf("%s was written to: %q", theirs, content)
			}
			now, statErr := os.Lstat(n.path(path))
			was, wasErr := os.Lstat(theirs)
			if err = errors.Join(err, wasErr); err == nil && statErr == nil && os.SameFile(now, was) {
				err = os.Remove(n.path(path))
			}
			return errors.Join(err, os.Remove(theirs))
		}
		return mend, errors.Join(os.WriteFile(theirs, []byte("theirs\n"), 0o644), os.Remove(n.path(path)), os.Link(theirs, n.path(path)))
	}
}

// neighbours makes folders of others in containerd's folder, half of them below a wildcard of the sets.
func neighbours(count int) func(*node) (func() error, error) {
	return func(n *node) (func() error, error) {
		name := func(i int) string {
			return n.path(fmt.Sprintf("etc/containerd/certs.d/n%04d.%s.example", i, []string{"tame", "wild"}[i%2]))
		}
		var failed []error
		for i := range count {
			failed = append(failed, os.Mkdir(name(i), 0o755), os.WriteFile(filepath.Join(name(i), "hosts.toml"), []byte("server = \"https://theirs.example\"\n"), 0o644))
		}
		mend := func() (err error) {
			for i := range count {
				err = errors.Join(err, os.RemoveAll(name(i)))
			}
			return err
		}
		return mend, errors.Join(failed...)
	}
}
