// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile_test

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mirrorset/mirrorset/internal/hostfile"
)

// operationEnv makes the test binary a process that does one operation below its working directory.
const operationEnv = "HOSTFILE_TEST_OPERATION"

func init() {
	processes[operationEnv] = operate
}

// operations are the possible operations on a folder of ours.
var operations = map[string]func(h *hostfile.Host) error{
	"replace": func(h *hostfile.Host) error { _, err := h.ReplaceInFolder(hosts, []byte(newer)); return err },
	"remove":  func(h *hostfile.Host) error { _, err := h.RemoveWithFolder(hosts); return err },
	"clean":   func(h *hostfile.Host) error { return h.RemoveLeftovers(certs, "hosts.toml", marker) },
}

// operate does the operation on one thread, which the parent traces.
func operate(name string) error {
	runtime.LockOSThread()
	if _, _, errno := unix.RawSyscall(unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0); errno != 0 {
		return errno
	}
	if err := unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP); err != nil { // waits for the parent
		return err
	}
	h, err := hostfile.Open(".")
	if err != nil {
		return err
	}
	return operations[name](h)
}

// TestAKillAtAnySystemCallLeavesTheFolderWholeOrGone kills each operation at its first system call, then at its second, and so on, until the
// operation ends first.
func TestAKillAtAnySystemCallLeavesTheFolderWholeOrGone(t *testing.T) {
	for name, tc := range map[string]struct {
		operation string
		have      tree
		// states are the states that may follow, apart from temporary names. The last is the goal of the operation.
		states []tree
	}{
		"a create":                         {"replace", none, []tree{none, {quayFile: newer}}},
		"a create in an empty folder":      {"replace", tree{quay + "/": ""}, []tree{{quay + "/": ""}, none, {quayFile: newer}}},
		"a create over leftovers":          {"replace", tree{asideFile: older, asideTemp: "#"}, []tree{none, {quayFile: newer}}},
		"a replace":                        {"replace", tree{quayFile: older}, []tree{{quayFile: older}, {quayFile: newer}}},
		"a replace beside files of others": {"replace", tree{quayFile: older, quayCA: "x"}, []tree{{quayFile: older, quayCA: "x"}, {quayFile: newer, quayCA: "x"}}},
		"a removal":                        {"remove", tree{quayFile: older}, []tree{{quayFile: older}, none}},
		"a removal with leftovers":         {"remove", tree{quayFile: older, quayTemp: "#", asideFile: older}, []tree{{quayFile: older}, none}},
		"a removal beside files of others": {"remove", tree{quayFile: older, quayCA: "x"}, []tree{{quayFile: older, quayCA: "x"}, {quayCA: "x"}}},
		"a cleaning":                       {"clean", tree{asideFile: older, asideTemp: "#"}, []tree{none}},
	} {
		t.Run(name, func(t *testing.T) {
			seen := make([]int, len(tc.states))
			followed := make(map[string]bool)
			for call, ended := 1, false; !ended; call++ {
				root := t.TempDir()
				tc.have.put(t, root)
				status := trace(t, root, tc.operation, func(n int, _ uint64) (kill bool) { return n == call })
				state := stateOf(t, root, tc.states)
				if state < 0 {
					t.Fatalf("after a kill at system call %d: %q", call, treeOf(t, root, nil))
				}
				seen[state]++
				if left := describe(t, root); !followed[left] {
					followed[left] = true
					wantNextOperations(t, root)
				}
				if ended = !status.Signaled(); ended && (status != 0 || state != len(tc.states)-1) {
					t.Errorf("without a kill: status %d, %q", status, treeOf(t, root, nil))
				}
			}
			t.Logf("how often it was left in each state: %v", seen)
			for i, times := range seen {
				if times == 0 {
					t.Errorf("never %q, so this test has shown little", tc.states[i])
				}
			}
		})
	}
}

// stateOf returns which of the states exists, apart from temporary names, or -1.
func stateOf(t *testing.T, root string, states []tree) int {
	t.Helper()
	got := treeOf(t, root, hostfile.IsTemporary)
	for i, state := range states {
		if maps.Equal(got, state) {
			return i
		}
	}
	return -1
}

// wantNextOperations checks that each operation, on a copy of the state after a kill, succeeds and leaves nothing behind.
func wantNextOperations(t *testing.T, root string) {
	t.Helper()
	for name, operation := range operations {
		again := filepath.Join(t.TempDir(), "root")
		if err := os.CopyFS(again, os.DirFS(root)); err != nil {
			t.Fatal(err)
		}
		if err := operation(second(t, again)); err != nil {
			t.Errorf("%s, after %q: %v", name, treeOf(t, root, nil), err)
		}
		got := treeOf(t, again, nil)
		left := !maps.Equal(got, treeOf(t, again, hostfile.IsTemporary))
		if name == "clean" {
			_, err := os.Lstat(filepath.Join(again, aside))
			left = !errors.Is(err, os.ErrNotExist)
		}
		if content, ok := got[quayFile]; left || name == "replace" && content != newer || name == "remove" && ok {
			t.Errorf("%s, after %q, leaves %q", name, treeOf(t, root, nil), got)
		}
	}
}

// TestWhatOthersPutIntoAFolderMeanwhileIsKept has others write into the folder at each system call of an operation.
func TestWhatOthersPutIntoAFolderMeanwhileIsKept(t *testing.T) {
	for name, tc := range map[string]struct {
		operation string
		have      tree
		// folders are where others may write: the folder, and where it is once it was renamed, if they have it open.
		folders []string
	}{
		"in a create in an empty folder": {"replace", tree{quay + "/": ""}, []string{quay}},
		"in a removal":                   {"remove", tree{quayFile: older, quayTemp: "#"}, []string{quay, aside}},
	} {
		t.Run(name, func(t *testing.T) {
			for call, ended := 1, false; !ended; call++ {
				root := t.TempDir()
				tc.have.put(t, root)
				ended = true
				wrote := false
				status := trace(t, root, tc.operation, func(n int, _ uint64) (kill bool) {
					for _, folder := range tc.folders {
						if n == call && !wrote {
							wrote = os.WriteFile(filepath.Join(root, folder, "ca.crt"), []byte("theirs"), 0o644) == nil
						}
					}
					ended = ended && n < call
					return false
				})
				got := treeOf(t, root, nil)
				want := tree{quayFile: got[quayFile], quayCA: "theirs"}
				if status != 0 || tc.operation == "remove" { // a create that they came before fails
					delete(want, quayFile)
				}
				if wrote && !maps.Equal(got, want) {
					t.Errorf("after they wrote at system call %d: status %d, %q", call, status, got)
				}
			}
		})
	}
}

// TestEachStepIsOnDiskBeforeTheNext stands in for a test that cuts the power.
func TestEachStepIsOnDiskBeforeTheNext(t *testing.T) {
	names := map[uint64]string{
		unix.SYS_FSYNC: "sync", unix.SYS_MKDIRAT: "mkdir", unix.SYS_RENAMEAT: "rename", unix.SYS_UNLINKAT: "unlink",
	}
	for name, tc := range map[string]struct {
		operation string
		have      tree
		want      string
	}{
		"a create":  {"replace", none, "unlink mkdir sync unlink sync rename sync unlink rename sync"},
		"a removal": {"remove", tree{quayFile: older}, "unlink rename sync unlink sync"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			tc.have.put(t, root)
			var steps []string
			trace(t, root, tc.operation, func(_ int, number uint64) (kill bool) {
				if step := names[number]; step != "" {
					steps = append(steps, step)
				}
				return false
			})
			if got := strings.Join(slices.Compact(steps), " "); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// notOfFiles are the system calls that Go's runtime may add to those of an operation at any time.
var notOfFiles = map[uint64]bool{
	unix.SYS_FUTEX: true, unix.SYS_GETPID: true, unix.SYS_MADVISE: true, unix.SYS_MMAP: true, unix.SYS_MUNMAP: true,
	unix.SYS_NANOSLEEP: true, unix.SYS_RT_SIGPROCMASK: true, unix.SYS_RT_SIGRETURN: true, unix.SYS_SCHED_YIELD: true, unix.SYS_TGKILL: true,
}

// trace runs an operation in a process of its own and returns how it ended. It calls at before each system call, numbered from 1, and kills the
// process if at returns true.
func trace(t *testing.T, root, operation string, at func(n int, number uint64) (kill bool)) unix.WaitStatus {
	t.Helper()
	runtime.LockOSThread() // the tracer is a thread
	defer runtime.UnlockOSThread()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process := exec.Command(program)
	process.Dir = root
	process.Env = append(os.Environ(), operationEnv+"="+operation, "GOGC=off", "GODEBUG=asyncpreemptoff=1", "GORACE=atexit_sleep_ms=0")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = process.Process.Release() }() // Wait would find nothing
	for calls, traced := 0, false; ; {
		var status unix.WaitStatus
		thread, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		if err != nil {
			t.Fatal(err)
		}
		signal := 0
		switch stop := status.StopSignal(); {
		case !status.Stopped() && thread == process.Process.Pid:
			if !traced {
				t.Fatalf("the process cannot be traced: status %d", status)
			}
			return status
		case !status.Stopped():
			continue // the thread; the process follows
		case !traced:
			traced = true
			err = unix.PtraceSetOptions(thread, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_EXITKILL)
		case stop != unix.SIGTRAP|0x80: // a signal
			signal = int(stop)
		default:
			if number, enters := systemCall(t, thread); enters && !notOfFiles[number] {
				if calls++; at(calls, number) {
					err = process.Process.Kill()
				}
			}
		}
		if err == nil {
			err = unix.PtraceSyscall(thread, signal)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) { // which a thread that was killed may give
			t.Fatal(err)
		}
	}
}

// systemCall returns the number of the system call where the thread stopped, and reports if the thread is about to enter it.
func systemCall(t *testing.T, thread int) (number uint64, enters bool) {
	t.Helper()
	var info struct { // ptrace_syscall_info
		op     uint8
		_      [23]byte
		number uint64
		_      [64]byte
	}
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(thread), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 && errno != unix.ESRCH {
		t.Fatal(errno)
	}
	return info.number, info.op == unix.PTRACE_SYSCALL_INFO_ENTRY
}
