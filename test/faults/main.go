// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command faults kills the real agent before each system call that changes a host, and checks the host: each file is as it was or as it should
// be, and no blocked source is open. Then it has another agent continue. It needs root.
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
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/mirrorset/mirrorset/test/enclosure"
)

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
	args, entered := enclosure.Entered(args)
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
		return enclosure.Enter(ctx, "-agent", path, "-every", fmt.Sprint(*every))
	}
	if err := errors.Join(enclosure.Settle(ctx), os.WriteFile(kubeconfig, []byte(noAPIServer), 0o600)); err != nil {
		return err
	}
	return sweep(ctx, path, *every)
}
