// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package enclosure runs a test program in namespaces of its own, so that it can mount, listen where it wants, and leave nothing behind.
package enclosure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// inside is the first argument of the program where it runs in its namespaces.
const inside = "inside"

// Memory is where [Settle] mounts a folder in memory that belongs to the namespaces.
const Memory = "/run"

// Entered returns the arguments of the program, and reports whether it runs in its namespaces by now.
func Entered(args []string) (rest []string, entered bool) {
	if len(args) > 0 && args[0] == inside {
		return args[1:], true
	}
	return args, false
}

// Enter runs this program once more with these arguments, as the first process of PID, mount and network namespaces of its own, and waits for
// it. Every process that it starts ends with it. It needs root.
func Enter(ctx context.Context, args ...string) error {
	if os.Geteuid() != 0 {
		return errors.New("root is needed, for namespaces and mounts")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("ip is needed: apt-get install iproute2")
	}
	runtime.LockOSThread() // the signal below is for the end of this thread
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{inside}, args...)...)
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

// Settle makes the namespaces a machine of their own: with a folder in memory, for temporary files too, and with a loopback interface that has
// these addresses besides.
func Settle(ctx context.Context, addresses ...string) error {
	if err := errors.Join(
		unix.Mount("none", "/", "", unix.MS_REC|unix.MS_SLAVE, ""),
		unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""),
		unix.Mount("tmpfs", Memory, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=90%"),
		os.Setenv("TMPDIR", Memory),
	); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	commands := []string{"link set lo up"}
	for _, address := range addresses {
		commands = append(commands, "address add "+address+"/32 dev lo")
	}
	for _, args := range commands {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	return nil
}
