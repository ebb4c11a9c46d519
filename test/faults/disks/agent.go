// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// confined is the first argument of this program where it becomes an agent: as in its Pod, user 0 without any capability but NET_BIND_SERVICE,
// so that the file system can refuse it something.
const confined = "confined"

// becomeAgent runs a program in the place of this one. Its arguments are those of [exec.Command], behind limits of inotify as in
// /proc/sys/user, which are those of a user namespace; empty for the machine's own.
func becomeAgent(args []string) error {
	instances, watches, program := args[0], args[1], args[2:]
	if instances != "" { // already in a user namespace
		for name, value := range map[string]string{"instances": instances, "watches": watches} {
			if err := os.WriteFile("/proc/sys/user/max_inotify_"+name, []byte(value), 0o600); err != nil {
				return err
			}
		}
	}
	runtime.LockOSThread() // which becomes the program
	for capability := uintptr(0); capability <= unix.CAP_LAST_CAP; capability++ {
		if capability == unix.CAP_NET_BIND_SERVICE {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil && err != unix.EINVAL { // which an older kernel does not know
			return fmt.Errorf("capability %d: %w", capability, err)
		}
	}
	return unix.Exec(program[0], program, os.Environ())
}

// command is an agent that is confined, and, with limits of inotify, in a user namespace of its own.
func command(instances, watches string, program ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", append([]string{confined, instances, watches}, program...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if instances != "" {
		all := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = all, all
	}
	return cmd
}

// limitInotify changes the limits of the user namespace that a process is in.
func limitInotify(pid int, instances, watches string) error {
	script := fmt.Sprintf("echo %s > /proc/sys/user/max_inotify_instances && echo %s > /proc/sys/user/max_inotify_watches", instances, watches)
	if out, err := exec.Command("nsenter", "--user", "--preserve-credentials", "--target", strconv.Itoa(pid), "sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("nsenter: %w: %s", err, out)
	}
	return nil
}
