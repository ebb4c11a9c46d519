// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command rest measures what the programs take of a machine while nothing happens, and what the least that could do their work takes:
// agents next to a program of client-go that watches the one ConfigMap, and the manager next to a cache of the same sets. All of them are
// processes of their own, and find the same real API server. It prints lines as Go's benchmarks do.
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
	"time"

	"github.com/mirrorset/mirrorset/test/controlplane"
)

// options are what somebody may choose.
type options struct {
	runs   int           // how many samples there are of each
	settle time.Duration // how long programs come to rest
	window time.Duration // how long they are measured; the agent looks at its host's files once a minute
	few    int           // sources
	many   int           // sources
	sets   int           // of the manager
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	o := options{few: 5, many: 1000}
	flag.IntVar(&o.runs, "runs", 5, "how many agents rest side by side, and in how many windows the manager is measured")
	flag.DurationVar(&o.settle, "settle", 30*time.Second, "how long programs come to rest before they are measured")
	flag.DurationVar(&o.window, "window", time.Minute, "how long they are measured; an agent looks at its host's files once a minute")
	flag.IntVar(&o.sets, "sets", 10_000, "how many sets the manager has; 0 for agents alone")
	flag.Parse()
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-rest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := build(ctx, root); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mirrorset-rest-")
	if err != nil {
		return err
	}
	plane, err := controlplane.Start(root)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	b := &bench{options: o, plane: plane, dir: dir}
	defer func() { err = errors.Join(err, b.stop(), plane.Stop(), os.RemoveAll(dir)) }()
	if err := errors.Join(plane.InstallAll(ctx), b.connect()); err != nil {
		return err
	}
	if b.manager, err = b.start(ctx, controlplane.ManagerAccount, "", "manager", "--namespace", controlplane.Namespace, "--metrics-bind-address", "0", "--health-probe-bind-address", "0"); err != nil {
		return err
	}
	for _, sources := range []int{o.few, o.many} {
		if err := b.agents(ctx, sources); err != nil {
			return b.withLogs(err)
		}
	}
	if o.sets == 0 {
		return nil
	}
	return b.withLogs(b.managers(ctx))
}

// build makes the programs that ours are compared with, as ours are built.
func build(ctx context.Context, root string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(root, "bin", floors)+string(filepath.Separator), "./test/bench/rest/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}
