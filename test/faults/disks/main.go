// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command disks has the real agent work on hosts whose disks are sick: full, read-only, with something in the way of a file, and so on. It checks which
// rules are in force meanwhile, what the node reports about them in a real API server, and how soon everything is well again without the cause. It
// needs root.
//
// All of it runs in a PID, a mount and a network namespace of its own, and writes to memory that belongs to these.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/mirrorset/mirrorset/test/enclosure"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == confined {
		fmt.Fprintln(os.Stderr, "disks:", becomeAgent(os.Args[2:]))
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "disks:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string) error {
	args, entered := enclosure.Entered(args)
	flags := flag.NewFlagSet("disks", flag.ExitOnError)
	root := flags.String("root", ".", "the checkout, with the programs in bin and bin/k8s")
	only := flags.String("only", "", "a regular expression: try only the faults whose names it matches")
	every := flags.Int("every", 1, "try every fault of this step: 1 for all, 5 for every fifth")
	verbose := flags.Bool("v", false, "print what each node said")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names, patternErr := regexp.Compile(*only)
	path, err := filepath.Abs(*root)
	if err := errors.Join(err, patternErr); err != nil || *every < 1 {
		return errors.Join(err, fmt.Errorf("-every %d: want 1 or more", *every))
	}
	if !entered {
		return enclosure.Enter(ctx, "-root", path, "-only", *only, "-every", fmt.Sprint(*every), fmt.Sprintf("-v=%t", *verbose))
	}
	if err := enclosure.Settle(ctx); err != nil {
		return err
	}
	cluster, err := startCluster(ctx, path)
	if err != nil {
		return err
	}
	return errors.Join(tryAll(ctx, cluster, func(i int, name string) bool { return i%*every == 0 && names.MatchString(name) }, *verbose), cluster.plane.Stop())
}
