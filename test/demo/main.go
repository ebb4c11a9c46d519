// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo shows step by step how sets become files on a node. It runs a real etcd and kube-apiserver on loopback, and
// the real manager and agent. The node is a folder.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mirrorset/mirrorset/test/controlplane"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root, err := os.Getwd()
	if err == nil {
		err = run(ctx, root, os.Getenv("KEEP") == "1", os.Stdout)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run shows everything, in the folder of the checkout.
func run(ctx context.Context, root string, keep bool, out io.Writer) (err error) {
	hostRoot, err := os.MkdirTemp("", "mirrorset-demo-node-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(hostRoot)) }()
	d := &demo{root: root, hostRoot: hostRoot, out: out}

	d.step("Start a control plane",
		"etcd and kube-apiserver run on 127.0.0.1. There is no kubelet, no controller of Kubernetes and no container runtime.",
		"The demo stands in for them: it runs the manager and the agent as processes, and reports their Pods.")
	if d.plane, err = controlplane.Start(root); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.plane.Stop()) }()

	d.step("Install Mirrorset", "This is what `make deploy` does in a cluster.")
	if err := d.kubectl(ctx, "apply", "--server-side", "-k", "config/default"); err != nil {
		return err
	}
	stop, err := d.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	if err := d.show(ctx); err != nil {
		return err
	}
	if keep {
		return d.keep(ctx)
	}
	return d.uninstall(ctx)
}
