// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// changing are the system calls that change files, or that make a change last, by number. The first argument of each is a descriptor: of the
// file, or of the folder that a name begins at.
var changing = map[uint64]string{
	unix.SYS_OPENAT: "openat", unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "pwrite64", unix.SYS_WRITEV: "writev", unix.SYS_FTRUNCATE: "ftruncate",
	unix.SYS_FCHMOD: "fchmod", unix.SYS_FCHMODAT: "fchmodat", unix.SYS_FCHMODAT2: "fchmodat2", unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync",
	unix.SYS_CLOSE: "close", unix.SYS_RENAMEAT: "renameat", unix.SYS_RENAMEAT2: "renameat2", unix.SYS_UNLINKAT: "unlinkat",
	unix.SYS_MKDIRAT: "mkdirat", unix.SYS_LINKAT: "linkat",
}

// names are those of changing whose second argument is a name.
var names = map[string]bool{
	"openat": true, "fchmodat": true, "fchmodat2": true, "renameat": true, "renameat2": true, "unlinkat": true, "mkdirat": true,
}

// writing are the flags of a file that somebody may change.
const writing = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC

// call is a system call that is about to change a host.
type call struct {
	name string
	path string // below the host's root
}

func (c call) String() string {
	return c.name + " " + c.path
}

// tracer counts the system calls of a process that change a host, over all its threads, and kills the process before one of them.
//
// It stands for strace -f -e inject=CALL:signal=SIGKILL:when=N, which counts for each thread by itself. Go moves its work from thread to
// thread, so that counts of that kind name other calls in each run, and some of them never.
type tracer struct {
	root   string
	killAt int // 0 for never
	pid    int
	calls  []call
}

// trace starts a process and follows it to its end. It calls started once with the process's ID.
func (t *tracer) trace(start func() (pid int, err error)) (killed bool, err error) {
	runtime.LockOSThread() // a process is traced by a thread
	defer runtime.UnlockOSThread()
	if t.pid, err = start(); err != nil {
		return false, err
	}
	const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	for begun := false; ; {
		var status unix.WaitStatus
		thread, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, fmt.Errorf("following the agent: %w", err)
		case status.Exited() || status.Signaled():
			if thread != t.pid {
				continue
			}
			if status.Signaled() && status.Signal() == unix.SIGKILL && t.killAt > 0 && len(t.calls) == t.killAt {
				return true, nil
			}
			if status.ExitStatus() != 0 {
				return false, fmt.Errorf("the agent has ended: exit status %d, %v", status.ExitStatus(), status.Signal())
			}
			return false, nil
		}
		if !begun {
			begun = true
			if err := unix.PtraceSetOptions(thread, options); err != nil {
				return false, fmt.Errorf("tracing the agent: %w", err)
			}
		}
		if err := unix.PtraceSyscall(thread, t.stopped(thread, status)); err != nil && !errors.Is(err, unix.ESRCH) { // it was just killed
			return false, err
		}
	}
}

// stopped finds out why a thread has stopped, and returns the signal to send it.
func (t *tracer) stopped(thread int, status unix.WaitStatus) (signal int) {
	switch sig := status.StopSignal(); sig {
	case unix.SIGTRAP | 0x80:
		t.called(thread)
		return 0
	case unix.SIGTRAP, unix.SIGSTOP: // of the tracing itself
		return 0
	default:
		return int(sig)
	}
}

// called counts the call that a thread is about to make, if that changes the host, and kills the process if it is the one. A thread that comes
// back from a call makes none.
func (t *tracer) called(thread int) {
	var info struct { // of PTRACE_GET_SYSCALL_INFO
		op     uint8
		_      [3]uint8
		arch   uint32
		ip, sp uint64
		number uint64
		args   [6]uint64
	}
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(thread), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0); errno != 0 {
		return // it was just killed
	}
	if info.op != unix.PTRACE_SYSCALL_INFO_ENTRY {
		return
	}
	name := changing[info.number]
	if name == "" || name == "openat" && info.args[2]&writing == 0 {
		return
	}
	path, ok := t.path(name, int32(info.args[0]), info.args[1])
	if !ok || len(t.calls) == t.killAt && t.killAt > 0 {
		return
	}
	if t.calls = append(t.calls, call{name, path}); len(t.calls) == t.killAt {
		_ = unix.Kill(t.pid, unix.SIGKILL) // before the call is made
	}
}

// path returns the path of what a call changes; not ok where it changes nothing of the host.
func (t *tracer) path(call string, descriptor int32, address uint64) (path string, ok bool) {
	if descriptor != unix.AT_FDCWD {
		of, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", t.pid, descriptor))
		if err != nil {
			return "", false
		}
		path = of
	}
	if names[call] {
		if name := t.text(address); filepath.IsAbs(name) {
			path = name
		} else {
			path = filepath.Join(path, name)
		}
	}
	below, isBelow := strings.CutPrefix(path, t.root+"/")
	switch {
	case !isBelow || below == lockFile:
		return "", false
	case call == "unlinkat": // of what a killed agent may have left, mostly
		_, err := os.Lstat(path)
		return below, err == nil
	case call == "close":
		return below, t.isWritten(descriptor)
	}
	return below, true
}

// isWritten reports whether a descriptor is open for writing.
func (t *tracer) isWritten(descriptor int32) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", t.pid, descriptor))
	var position, flags int
	_, scanErr := fmt.Sscanf(string(text), "pos:\t%d\nflags:\t%o", &position, &flags)
	return err == nil && scanErr == nil && flags&(unix.O_WRONLY|unix.O_RDWR) != 0
}

// text reads a name out of the process's memory.
func (t *tracer) text(address uint64) string {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.pid))
	if err != nil {
		return ""
	}
	defer func() { _ = memory.Close() }() // it was only read
	buffer := make([]byte, syscall.PathMax)
	n, _ := memory.ReadAt(buffer, int64(address)) // up to the end of what is mapped
	name, _, _ := strings.Cut(string(buffer[:n]), "\x00")
	return name
}
