// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo runs the main job from end to end: a real kube-apiserver on loopback, the manager and an agent as they are,
// the sample sets, and the file that they become on a node.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mirrorset/mirrorset/test/controlplane"
)

const (
	image    = "quay.io/prometheus/node-exporter@sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706"
	dropIn   = "etc/containers/registries.conf.d/50-mirrorset.conf"
	patience = time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("KEEP") == "1"); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, keep bool) (err error) {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	hostRoot, err := os.MkdirTemp("", "mirrorset-demo-node-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(hostRoot)) }()

	say("Starting etcd and kube-apiserver")
	c, err := controlplane.Start(root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()

	say("Installing: kubectl apply -k config/default")
	if err := c.Install(ctx); err != nil {
		return err
	}
	say("Starting the manager and one agent with the rights of their service accounts")
	manager, err := c.StartManager(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, manager.Stop()) }()
	agent, err := c.StartAgent(ctx, hostRoot, "demo-node")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, agent.Stop()) }()

	if err := c.AwaitSets(ctx); err != nil { // the manager brings their CRD
		return err
	}
	if err := show(ctx, c, filepath.Join(hostRoot, dropIn), manager, agent); err != nil {
		return err
	}
	if !keep {
		return nil
	}
	say("Everything stays up until Ctrl-C. The node's root directory is %s. To reach the cluster:", hostRoot)
	fmt.Printf("export KUBECONFIG=%s PATH=%s:%s:$PATH\n", c.Kubeconfig, os.Getenv("KUBEBUILDER_ASSETS"), filepath.Join(root, "bin"))
	<-ctx.Done()
	return nil
}

// show applies the samples and prints the result.
func show(ctx context.Context, c *controlplane.ControlPlane, file string, running ...*controlplane.Process) error {
	start := time.Now()
	if err := do(c.Kubectl(ctx, "apply", "-f", "config/samples/")); err != nil {
		return err
	}
	say("Waiting for the file on the node")
	content, err := waitFor(ctx, file, running)
	if err != nil {
		return err
	}
	say("The file was there %d ms after kubectl began", time.Since(start).Milliseconds())
	for _, args := range [][]string{
		{"wait", "--for=condition=Applied", "--timeout=60s", "idms", "--all"}, {"get", "idms"}, {"get", "mirrornodes"},
	} {
		if err := do(c.Kubectl(ctx, args...)); err != nil {
			return err
		}
	}
	say("/%s", dropIn)
	fmt.Print(string(content))
	return do(exec.CommandContext(ctx, "bin/kubectl-mirrors", "explain", image, "-f", "config/samples/"))
}

// waitFor returns the content of the file once it has all samples in it.
func waitFor(ctx context.Context, file string, running []*controlplane.Process) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	want, err := exec.CommandContext(ctx, "bin/kubectl-mirrors", "render", "-f", "config/samples/").Output()
	if err != nil {
		return nil, err
	}
	for {
		content, err := os.ReadFile(file)
		if err == nil && string(content) == string(want) {
			return content, nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			for _, p := range running {
				fmt.Fprintln(os.Stderr, p.Log())
			}
			return nil, fmt.Errorf("waiting for %s: %w", file, ctx.Err())
		}
	}
}

// do prints the command and runs it.
func do(cmd *exec.Cmd) error {
	say("%s", strings.Join(append([]string{filepath.Base(cmd.Path)}, cmd.Args[1:]...), " "))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func say(format string, args ...any) {
	fmt.Printf("\n==> "+format+"\n", args...)
}
