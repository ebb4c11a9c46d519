// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/hostfile"
)

func TestAFaultNamesTheFileAndTheRemedy(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.ENOSPC: "no space left on device; free disk space", syscall.EDQUOT: "quota", syscall.EROFS: "read-only file system; find out from the kernel log",
		syscall.EACCES: "permission denied; give root the file", syscall.EPERM: "operation not permitted; remove the chattr attributes", syscall.EIO: "the disk fails",
		syscall.EMFILE: "too many open files; raise this program's limit", syscall.ENFILE: "fs.file-max", syscall.ENOMEM: "cannot allocate memory; free memory", syscall.EBUSY: "device or resource busy; stop the program that uses it",
		syscall.EISDIR: "is a directory; fix or remove the file or folder at that path",
	} {
		h, _ := open(t)
		err := h.Explain(filePath, &fs.PathError{Op: "openat", Path: "temporary", Err: errno})
		if !errors.Is(err, errno) || !strings.HasPrefix(err.Error(), "/"+filePath+": ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "openat") {
			t.Errorf("%v: got %q, want %q", errno, err, want)
		}
	}
}

func TestAFaultNamesWhatIsInTheWay(t *testing.T) {
	for want, prepare := range map[string]func(root string) error{
		"/etc: not a folder; replace it with a folder": func(root string) error { return os.WriteFile(filepath.Join(root, "etc"), nil, 0o600) },
		"/" + dir + ": not a folder; replace it with a folder": func(root string) error {
			return errors.Join(os.MkdirAll(filepath.Join(root, filepath.Dir(dir)), 0o750), syscall.Mkfifo(filepath.Join(root, dir), 0o600))
		},
		"/etc: a link that does not lead to a folder the agent may use; replace it with a folder": func(root string) error {
			return os.Symlink("../outside", filepath.Join(root, "etc"))
		},
	} {
		h, root := open(t)
		mkdir(t, root, "../outside")
		if err := prepare(root); err != nil {
			t.Fatal(err)
		}
		f := hostfile.File{Path: filePath, Marker: marker}
		_, replaced := h.Replace(f, []byte(newer))
		_, inFolder := h.ReplaceInFolder(hostfile.File{Path: dir + "/folder/file", Marker: marker}, []byte(newer))
		_, read := h.Read(f)
		_, listed := h.ReadDir(dir)
		_, locked := h.Lock(t.Context(), filePath)
		for step, err := range map[string]error{"Replace": replaced, "ReplaceInFolder": inFolder, "Read": read, "ReadDir": listed, "Lock": locked} {
			if err == nil || err.Error() != want {
				t.Errorf("%s: got %v, want %s", step, err, want)
			}
		}
	}
}

func TestAPipeIsNeverWaitedFor(t *testing.T) {
	h, root := open(t)
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(filepath.Join(root, "pipe"), os.O_RDWR, 0) // and never writes
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = writer.Close() }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := fs.ReadDir(h.FS(), "pipe"); err == nil {
			t.Error("it is read as a folder")
		}
		_, read := fs.ReadFile(h.FS(), "pipe")
		_, regular := h.ReadRegular("pipe", 1)
		for _, err := range []error{read, regular} {
			if err == nil || !strings.HasSuffix(err.Error(), "; replace it with a regular file") && !strings.HasSuffix(err.Error(), "; replace it with a file or a folder") {
				t.Errorf("it is read as a file, or there is no remedy: %v", err)
			}
		}
		if err := h.RemoveLeftovers("pipe", "file", marker); err == nil {
			t.Error("there is nothing to remove in it")
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it is waited for")
	}
}

func TestALockThatIsThereIsNotWritten(t *testing.T) { // so that it can be had on a read-only disk
	h, root := open(t)
	mkdir(t, root, lockPath)
	unlock, err := h.Lock(t.Context(), lockPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}
