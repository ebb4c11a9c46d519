// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"golang.org/x/sys/unix"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/test/enclosure"
)

const (
	// patience is how long an agent may take for something, on a busy machine. It is longer than the minute after which an agent looks again.
	patience = 90 * time.Second
	// poll is how often a node is looked at.
	poll = 50 * time.Millisecond
)

// disks are the file systems of a host, by the paths that they are mounted at below its root. They are as large as what the cases need.
var disks = []string{"etc/containers", "etc/containerd", "var/lib", "tmp"}

// containerdConfig has containerd read the folder that the agent writes to.
const containerdConfig = `version = 3
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"
`

// node is a host with an agent, and what the API server has for it in a namespace of its own.
type node struct {
	*cluster
	name    string
	root    string
	port    int    // of the redirector
	metrics string // the address
	process *process
	limits  [2]string // of inotify; empty for those of the machine
	// revision is that of what was published last.
	revision int64
}

// newNode makes a host and starts its agent.
func newNode(ctx context.Context, c *cluster, name string) (*node, error) {
	n := &node{cluster: c, name: name, root: filepath.Join(enclosure.Memory, name)}
	for _, disk := range disks {
		at := filepath.Join(n.root, disk)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return nil, err
		}
		if err := unix.Mount("tmpfs", at, "tmpfs", 0, "mode=755,size=20m"); err != nil {
			return nil, fmt.Errorf("mounting %s: %w", at, err)
		}
	}
	for _, folder := range []string{"etc/containers/registries.conf.d", "etc/containerd/certs.d", "var/lib/mirrorset"} {
		if err := os.MkdirAll(n.path(folder), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(n.outside(), "folder"), 0o755); err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	n.port, n.metrics = ports[0], fmt.Sprintf("127.0.0.1:%d", ports[1])
	return n, errors.Join(
		os.WriteFile(n.path("etc/containerd/config.toml"), []byte(containerdConfig), 0o644),
		os.WriteFile(n.path("etc/containers/registries.conf"), nil, 0o644),
		c.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}),
		c.admin.Create(ctx, &mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: name}}),
	)
}

// path returns where a path of the host is here.
func (n *node) path(name string) string {
	return filepath.Join(n.root, name)
}

// outside is a folder that no agent has to do with.
func (n *node) outside() string {
	return n.root + ".outside"
}

// discard unmounts the host's disks.
func (n *node) discard() error {
	var failed []error
	for _, disk := range disks {
		failed = append(failed, unix.Unmount(n.path(disk), unix.MNT_DETACH))
	}
	return errors.Join(failed...)
}

// freePorts returns ports that no process listens on.
func freePorts(count int) (ports []int, err error) {
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// start starts the agent.
func (n *node) start() (err error) {
	if err := os.RemoveAll(n.root + ".ready"); err != nil {
		return err
	}
	cmd := command(n.limits[0], n.limits[1], filepath.Join(n.cluster.root, "bin/agent"), "--host-root", n.root, "--node-name", n.name, "--namespace", n.name,
		"--redirector-port", fmt.Sprint(n.port), "--metrics-bind-address", n.metrics, "--allow-default-host", "--ready-file", n.root+".ready")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+n.plane.Kubeconfig, "TMPDIR="+n.path("tmp"))
	n.process = &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = n.process, n.process
	if err := cmd.Start(); err != nil {
		return err
	}
	go func(p *process) {
		p.err = p.cmd.Wait()
		close(p.ended)
	}(n.process)
	return nil
}

// status returns what the node says.
func (n *node) status(ctx context.Context) (mirrorsetv1alpha1.MirrorNodeStatus, error) {
	var object mirrorsetv1alpha1.MirrorNode
	err := n.admin.Get(ctx, client.ObjectKey{Name: n.name}, &object)
	return object.Status, err
}

// text is what a status says, for people.
func text(s mirrorsetv1alpha1.MirrorNodeStatus) string {
	var b strings.Builder
	fmt.Fprintf(&b, "revision %d, not in force: %q\n", s.Revision, s.NotInForce)
	for _, c := range s.Conditions {
		fmt.Fprintf(&b, "%s=%s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
	return b.String()
}

// inForce reports whether the node reports that exactly the published rules are in force.
func (n *node) inForce(s mirrorsetv1alpha1.MirrorNodeStatus) bool {
	ready := meta.FindStatusCondition(s.Conditions, mirrorsetv1alpha1.ConditionRuntimeReady)
	return s.Revision == n.revision && meta.IsStatusConditionTrue(s.Conditions, mirrorsetv1alpha1.ConditionApplied) &&
		ready != nil && ready.Reason == mirrorsetv1alpha1.ReasonReady
}

// final is an error that is not waited for to go.
type final struct{ error }

// await waits until something holds, as long as the agent runs.
func (n *node) await(ctx context.Context, what string, holds func() (bool, error)) error {
	deadline := time.After(patience)
	for {
		ok, err := holds()
		var stop *final
		if ok || errors.As(err, &stop) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-n.process.ended:
			return fmt.Errorf("the agent has ended: %w", n.process.err)
		case <-deadline:
			return fmt.Errorf("%s: not within %s: %w", what, patience, errors.Join(err, errors.New("see below")))
		case <-time.After(poll):
		}
	}
}

// process is an agent that runs.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // once ended

	mu     sync.Mutex
	output bytes.Buffer
}

// Write takes what the agent prints.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(b)
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

// stop asks the agent to end, which it has to do soon.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.ended:
		return p.err
	case <-time.After(10 * time.Second):
		p.kill()
		return errors.New("SIGTERM does not end the agent")
	}
}
