// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package enclosure runs a test program in namespaces of its own, so that it can mount, listen where it wants, and leave nothing behind.
package enclosure

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Enter runs this program once more with these arguments, as the first process of PID, mount and network namespaces of its own, and waits for
// it. All that it starts ends with it. It wants root.
func Enter(ctx context.Context, args ...string) error {
	if os.Geteuid() != 0 {
		return errors.New("root is needed, for namespaces and mounts")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("ip is needed: apt-get install iproute2")
	}
	runtime.LockOSThread() // the signal below is for the end of this thread
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL,
		Setpgid: true, // Ctrl-C is for this process, which then kills that one
	}
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
