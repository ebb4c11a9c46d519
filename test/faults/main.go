// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command faults kills the real agent before each system call by which it changes a host, and looks at what is then there: each file as it
// was or as it is to be, and no blocked source open. Then it has another agent go on. It wants root.
//
// All of it runs in a PID, a mount and a network namespace of its own, and writes to memory that belongs to these. With them the kernel
// ends every process and removes every file, however this program ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/mirrorset/mirrorset/test/enclosure"
)

// inside is the first argument of this program where it starts itself.
const inside = "inside"

// memory is where a folder that belongs to the namespaces is mounted.
const memory = "/run"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string) error {
	entered := len(args) > 0 && args[0] == inside
	if entered {
		args = args[1:]
	}
	flags := flag.NewFlagSet("faults", flag.ExitOnError)
	agent := flags.String("agent", "bin/agent", "the agent's program")
	every := flags.Int("every", 1, "kill the agent before every call of this step: 1 for all, 5 for every fifth")
	if err := flags.Parse(args); err != nil {
		return err
	}
	path, err := filepath.Abs(*agent)
	if err != nil || *every < 1 {
		return errors.Join(err, fmt.Errorf("-every %d: want 1 or more", *every))
	}
	if !entered {
		return enclosure.Enter(ctx, inside, "-agent", path, "-every", fmt.Sprint(*every))
	}
	if err := settle(ctx); err != nil {
		return err
	}
	return sweep(ctx, path, *every)
}

// settle makes the namespaces a machine of their own, with a folder in memory, on which the redirector's port is free and no API server is to
// be found.
func settle(ctx context.Context) error {
	if err := errors.Join(
		unix.Mount("none", "/", "", unix.MS_REC|unix.MS_SLAVE, ""),
		unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""),
		unix.Mount("tmpfs", memory, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"),
	); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	if out, err := exec.CommandContext(ctx, "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	return os.WriteFile(kubeconfig, []byte(noAPIServer), 0o600)
}
