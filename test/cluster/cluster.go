// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package cluster runs a real Kubernetes cluster of one node on this machine: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, containerd and kubelet, from the programs in bin/k8s. It needs root, and no Docker.
//
// The processes are in a PID namespace and a mount namespace of the node's own, where /etc/containers, /etc/containerd,
// /var/lib/mirrorset and the like are folders below [Cluster.Path]. All other writes to /etc or /var/lib go to memory. The
// processes share the network of the caller of [Start]. So containerd, Podman on the node and Pods with hostNetwork reach a
// registry that a test serves on 127.0.0.1. Pods with their own network reach only the node and the Service kubernetes.
// There is no kube-proxy, no DNS and no forwarding, so no packet leaves the machine, and the rules of its firewall stay as
// they are.
//
// The cluster leaves nothing behind, however the process that called [Start] ends. The init of the PID namespace notices that
// its parent is gone. Then it ends all processes, and removes the cgroups and the folder. The kernel removes mounts and links.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// NodeName is the name of the node.
const NodeName = "node"

// Options say where things are.
type Options struct {
	// Dir is the folder for all that is written, a new one. Stop removes it. Left empty, it is a temporary one.
	Dir string
	// Programs is the folder of the programs that `make node` builds. Those of the control plane may be in
	// $KUBEBUILDER_ASSETS instead.
	Programs string
	// Log is told of each step.
	Log io.Writer
	// Hosts are names that only the node finds at these addresses. The programs on it then trust what
	// [Cluster.Certificate] returns, so that a server on this machine can stand for any registry.
	Hosts map[string]string
}

// Cluster is a running cluster.
type Cluster struct {
	// Config is that of an administrator.
	Config *rest.Config
	// Client has the same rights.
	Client kubernetes.Interface
	// Kubeconfig is the path of a file with the same.
	Kubeconfig string

	options Options
	node    *node
	ca      *authority
	values  values
	proxy   io.Closer
	parts   map[string]*part
	stop    func() error
}

// Start starts a cluster and returns when its node is Ready. The context is for the start only.
func Start(ctx context.Context, options Options) (_ *Cluster, err error) {
	if options.Log == nil {
		options.Log = io.Discard
	}
	if err := check(options.Programs); err != nil {
		return nil, err
	}
	if options.Dir, err = newDir(options.Dir); err != nil {
		return nil, err
	}
	c := &Cluster{options: options, parts: map[string]*part{}, Kubeconfig: filepath.Join(options.Dir, "admin.kubeconfig")}
	c.stop = sync.OnceValue(c.stopNow)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%w\n%s", err, c.Logs(20)), c.Stop())
		}
	}()
	if c.node, err = startNode(options.Dir); err != nil {
		return c, err
	}
	if err := errors.Join(c.configure(), c.writeHosts()); err != nil {
		return c, err
	}
	return c, c.startParts(ctx)
}

func newDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "mirrorset-cluster-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	return dir, os.Mkdir(dir, 0o755)
}

// check says what is missing, before anything is written.
func check(programs string) error {
	if os.Geteuid() != 0 {
		return errors.New("root is needed: a node mounts and makes namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("ip is needed: apt-get install iproute2")
	}
	for _, name := range allPrograms {
		if _, err := os.Stat(programPath(programs, name)); err != nil {
			return fmt.Errorf("%s is needed: make node (%w)", name, err)
		}
	}
	return nil
}

// programPath finds the programs of the control plane in $KUBEBUILDER_ASSETS if they are not next to the others.
func programPath(programs, name string) string {
	path := filepath.Join(programs, name)
	if _, err := os.Stat(path); err != nil && os.Getenv("KUBEBUILDER_ASSETS") != "" {
		return filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), name)
	}
	return path
}

// Stop ends all processes of the cluster immediately, and removes everything that they and the cluster have created. Call it once.
func (c *Cluster) Stop() error { return c.stop() }

func (c *Cluster) stopNow() error {
	var errs []error
	if c.proxy != nil {
		errs = append(errs, c.proxy.Close())
	}
	if c.node != nil {
		errs = append(errs, c.node.stop())
	}
	return errors.Join(append(errs, os.RemoveAll(c.options.Dir))...)
}

// Path returns where a file of the node is for this process. It must be in one of the folders that the node has to itself:
// /etc/containers, /etc/containerd, /etc/cni, /var/lib/mirrorset, /var/lib/kubelet, /var/log/pods and some more.
func (c *Cluster) Path(path string) string {
	return filepath.Join(c.options.Dir, "root", path)
}

// Dir returns the folder of all that was written.
func (c *Cluster) Dir() string { return c.options.Dir }

// InitPID returns the process ID of the node's init. `nsenter -t PID -p -m` gives a shell on the node.
func (c *Cluster) InitPID() int { return c.node.init.Process.Pid }

// Environment returns the environment for kubectl. kubectl keeps its cache in the cluster's folder.
func (c *Cluster) Environment() []string {
	return []string{"KUBECONFIG=" + c.Kubeconfig, "KUBECACHEDIR=" + filepath.Join(c.options.Dir, "kubectl")}
}

// AuditLog is the file with the API server's record of what accounts of Pods write.
func (c *Cluster) AuditLog() string { return c.path("audit.log") }

// Kubectl returns kubectl as an administrator.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, programPath(c.options.Programs, "kubectl"), args...)
	cmd.Env = append(os.Environ(), c.Environment()...)
	return cmd
}

// Exec runs a command on the node: in its mount and PID namespaces. It returns what the command printed to both outputs.
func (c *Cluster) Exec(ctx context.Context, program string, args ...string) (string, error) {
	return c.exec(ctx, nil, program, args...)
}

func (c *Cluster) exec(ctx context.Context, stdin io.Reader, program string, args ...string) (string, error) {
	path := filepath.Join(c.options.Programs, program)
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath(program); err != nil {
			return "", err
		}
	}
	var out strings.Builder
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(c.environment(), "HOME=/root")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &out
	cmd.WaitDelay = 5 * time.Second
	if err := c.node.start(cmd); err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		return out.String(), fmt.Errorf("%s on the node: %w\n%s", program, err, out.String())
	}
	return out.String(), nil
}

// Process is a program on the node that is no part of the cluster.
type Process struct{ part *part }

// Run starts a program, by its path, on the node. What it prints is in NAME.log among [Cluster.Logs].
func (c *Cluster) Run(name, program string, environment []string, args ...string) (*Process, error) {
	p := &part{name: name, path: program, args: args, environment: environment}
	return &Process{p}, c.run(p)
}

// RunAs is [Cluster.Run] as a user who has root's rights to files. Of what the kernel counts by user, as inotify instances, the program has what is
// there on a machine of its own.
func (c *Cluster) RunAs(user uint32, name, program string, environment []string, args ...string) (*Process, error) {
	environment = append([]string{fmt.Sprint("USER=", user), "HOME=/"}, environment...) // which no file has of this user
	p := &part{name: name, path: program, args: args, environment: environment, user: user}
	return &Process{p}, c.run(p)
}

// End asks the program to end and waits until it has. One that does not in time is killed, which is an error.
func (p *Process) End() error { return p.part.end(syscall.SIGTERM) }

// Ended is closed once the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.part.exited }

// Logs returns the last lines of what each part of the cluster has logged. The files are in logs below [Cluster.Dir].
func (c *Cluster) Logs(lines int) string {
	var all strings.Builder
	files, _ := filepath.Glob(filepath.Join(c.options.Dir, "logs", "*.log")) // the pattern is well-formed
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			text = []byte(err.Error())
		}
		last := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(&all, "== %s\n%s\n", filepath.Base(file), strings.Join(last[max(0, len(last)-lines):], "\n"))
	}
	return all.String()
}

func (c *Cluster) say(format string, args ...any) {
	fmt.Fprintf(c.options.Log, format+"\n", args...)
}

func (c *Cluster) loadConfig() (err error) {
	if c.Config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig); err != nil {
		return err
	}
	c.Client, err = kubernetes.NewForConfig(c.Config)
	return err
}
