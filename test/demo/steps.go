// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mirrorset/mirrorset/test/controlplane"
)

const (
	image     = "quay.io/prometheus/node-exporter@sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706"
	dropIn    = "etc/containers/registries.conf.d/50-mirrorset.conf"
	hostsFile = "etc/containerd/certs.d/quay.io/hosts.toml"
	patience  = time.Minute
)

// demo is one run.
type demo struct {
	root     string // of the checkout
	hostRoot string // the root directory of the node
	out      io.Writer
	steps    int
	plane    *controlplane.ControlPlane
	standIn  *standIn
}

// start starts the manager, the agent of a node, and the stand-in for the rest of a cluster. The returned function stops them.
func (d *demo) start(ctx context.Context) (stop func() error, err error) {
	d.step("Start the manager and the agent of a node",
		"Each has only the rights of its service account. In a cluster the manager is a Deployment, and the agents are a DaemonSet.",
		"The node is called "+nodeName+". Its root directory is "+d.hostRoot+".",
		"It has the configuration file of a containerd, which the demo does not run.")
	if d.standIn, err = newStandIn(d.plane.Config, d.root, d.hostRoot); err != nil {
		return nil, err
	}
	if err := d.standIn.makeNode(ctx); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	manager, err := d.plane.StartManager(ctx)
	if err != nil {
		return nil, err
	}
	d.standIn.programs[managerName] = &program{process: manager}
	agent, err := d.plane.StartAgent(ctx, d.hostRoot, nodeName, "--manager="+managerName, "--redirector-port="+port)
	if err != nil {
		return nil, errors.Join(err, manager.Stop())
	}
	d.standIn.programs[agentName] = &program{process: agent}
	inner, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.standIn.follow(inner) }()
	return func() error {
		cancel()
		return <-ended
	}, nil
}

// show applies sets, and shows the resulting files.
func (d *demo) show(ctx context.Context) error {
	if err := d.plane.AwaitSets(ctx); err != nil { // the manager brings their CRDs
		return err
	}
	d.step("Apply sets of mirrors",
		"config/samples has three ImageDigestMirrorSets, for images named by digest, and one ImageTagMirrorSet, for images named by tag.",
		"The API server warns about a source that a set blocks. The set does so on purpose.")
	began := time.Now()
	if err := d.kubectl(ctx, "apply", "-f", "config/samples/"); err != nil {
		return err
	}
	content, err := d.await(ctx)
	if err != nil {
		return err
	}
	d.step(fmt.Sprintf("See the rules in force, %d ms after kubectl apply began", time.Since(began).Milliseconds()),
		"APPLIED is True once every node has put a set in force. There is one MirrorNode per node.")
	for _, args := range [][]string{
		{"wait", "--for=condition=Applied", "--timeout=60s", "idms,itms", "--all"}, {"get", "idms,itms"}, {"mirrors", "nodes"},
	} {
		if err := d.kubectl(ctx, args...); err != nil {
			return err
		}
	}
	hosts, err := os.ReadFile(filepath.Join(d.hostRoot, hostsFile))
	if err != nil {
		return err
	}
	d.step("Read the files on the node",
		"CRI-O and Podman read the first one. `blocked` refuses the source, and `pull-from-mirror` limits a mirror to digests or to tags.",
		"The comment above a rule names the sets that it comes from.")
	fmt.Fprintf(d.out, "\n--- /%s\n%s", dropIn, content)
	fmt.Fprint(d.out, `
    containerd reads one hosts.toml per registry. It leads to the redirector, the part of the agent that passes a pull
    on to the mirrors of its repository.
`)
	fmt.Fprintf(d.out, "\n--- /%s\n%s", hostsFile, hosts)
	d.step("Ask where an image would be pulled from", "The mirrors are tried in this order, and the source comes last.")
	if err := d.kubectl(ctx, "mirrors", "explain", image); err != nil {
		return err
	}
	d.step("Look for problems", "The doctor checks the CRDs, the manager, the agents, the published rules, the nodes and the sets.")
	return d.kubectl(ctx, "mirrors", "doctor")
}

// keep leaves all of it to a person until the context ends.
func (d *demo) keep(ctx context.Context) error {
	d.step("Try it yourself", "The demo stays up until you press Ctrl-C. In another terminal, run:")
	fmt.Fprintf(d.out, `
  export KUBECONFIG=%s PATH=%s:%s:$PATH
  kubectl edit idms 10-site     # change a set
  cat %s
  kubectl mirrors doctor        # look for problems
  kubectl mirrors uninstall     # remove Mirrorset from the node, and then from the cluster

The demo pulls no images, so "kubectl mirrors pulls" and "kubectl mirrors why" have nothing to show.
For those, start a real cluster with "make cluster" (needs root).
`, d.plane.Kubeconfig, os.Getenv("KUBEBUILDER_ASSETS"), filepath.Join(d.root, "bin"), filepath.Join(d.hostRoot, dropIn))
	<-ctx.Done()
	return nil
}

// uninstall shows that the node is left as it was.
func (d *demo) uninstall(ctx context.Context) error {
	d.step("Uninstall", "The agent removes its files from the node first. Then the plugin deletes Mirrorset and the sets.",
		"`make demo KEEP=1` leaves this step to you.")
	if err := d.kubectl(ctx, "mirrors", "uninstall", "--yes"); err != nil {
		return err
	}
	for _, file := range []string{dropIn, hostsFile} {
		if _, err := os.Stat(filepath.Join(d.hostRoot, file)); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("/%s is still on the node", file), err)
		}
	}
	fmt.Fprintf(d.out, "\n/%s and /%s are gone from the node.\n", dropIn, hostsFile)
	return nil
}

// await returns the content of the file on the node once it has all samples in it.
func (d *demo) await(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	render := exec.CommandContext(ctx, filepath.Join(d.root, "bin/kubectl-mirrors"), "render", "-f", "config/samples/")
	render.Dir = d.root
	want, err := render.Output()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(d.hostRoot, dropIn)
	for {
		content, err := os.ReadFile(file)
		if err == nil && string(content) == string(want) {
			return content, nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			for _, p := range d.standIn.programs {
				fmt.Fprintln(os.Stderr, p.process.Log())
			}
			return nil, fmt.Errorf("waiting for %s: %w", file, ctx.Err())
		}
	}
}

// kubectl prints a command and runs it.
func (d *demo) kubectl(ctx context.Context, args ...string) error {
	fmt.Fprintf(d.out, "\n$ kubectl %s\n", strings.Join(args, " "))
	cmd := d.plane.Kubectl(ctx, args...)
	cmd.Env = append(cmd.Env, "PATH="+filepath.Join(d.root, "bin")+":"+os.Getenv("PATH"))
	text, err := cmd.CombinedOutput()
	fmt.Fprint(d.out, shortened(string(text)))
	if err != nil {
		return fmt.Errorf("kubectl %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// shortened leaves only the first of the lines that name one applied or deleted object each, and counts the others.
func shortened(text string) string {
	var short strings.Builder
	last, more := "", 0
	flush := func() {
		if more > 0 {
			fmt.Fprintf(&short, "... and %d more\n", more)
		}
		more = 0
	}
	for line := range strings.Lines(text) {
		kind := ""
		for _, of := range []string{"Delete ", "Deleted ", " serverside-applied\n"} {
			if strings.HasPrefix(line, of) || strings.HasSuffix(line, of) {
				kind = of
			}
		}
		if kind != "" && kind == last {
			more++
			continue
		}
		flush()
		short.WriteString(line)
		last = kind
	}
	flush()
	return short.String()
}

// step prints the heading of the next step, and what it is about.
func (d *demo) step(title string, about ...string) {
	d.steps++
	fmt.Fprintf(d.out, "\n==> %d. %s\n", d.steps, title)
	for _, line := range about {
		fmt.Fprintln(d.out, "    "+line)
	}
}
