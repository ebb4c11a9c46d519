// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command soak has sets of both kinds created, changed and deleted twenty times a second on a real API server, with the real manager and agents,
// while these, the API server and etcd are killed. At quiet points it compares the files on each host with the rules of docs/reference/semantics.md
// for the current sets. All the time, it checks that a source which is always blocked is closed. It needs root.
//
// All of it runs in a PID, a mount and a network namespace of its own, and writes to memory that belongs to these. With them the kernel
// ends every process and removes every file, however this program ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/mirrorset/mirrorset/test/enclosure"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string) error {
	args, entered := enclosure.Entered(args)
	flags := flag.NewFlagSet("soak", flag.ExitOnError)
	root := flags.String("root", ".", "the checkout, with the programs in bin/")
	length := flags.Duration("for", 10*time.Minute, "how long sets change, the quiet points not counted")
	seed := flags.Uint64("seed", rand.Uint64(), "of what is random; 0 is one like any other")
	if err := flags.Parse(args); err != nil {
		return err
	}
	path, err := filepath.Abs(*root)
	if err != nil || *length < shortest {
		return errors.Join(err, fmt.Errorf("-for %v: want %v or more", *length, shortest))
	}
	if !entered {
		return enclosure.Enter(ctx, "-root", path, "-for", length.String(), "-seed", fmt.Sprint(*seed))
	}
	log.SetLogger(logr.Discard())
	if err := enclosure.Settle(ctx); err != nil {
		return err
	}
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		if err := os.Setenv("KUBEBUILDER_ASSETS", filepath.Join(path, "bin/k8s")); err != nil {
			return err
		}
	}
	fmt.Printf("Sets change for %v, with -seed %d.\n", *length, *seed)
	return soak(ctx, path, *length, rand.New(rand.NewPCG(*seed, 0)))
}
