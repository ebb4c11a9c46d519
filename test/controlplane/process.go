// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Process is a manager or an agent that runs.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // once exited

	mu  sync.Mutex
	log bytes.Buffer
}

// StartManager starts bin/manager with the rights of its service account. It listens on no address but those in args.
func (c *ControlPlane) StartManager(ctx context.Context, args ...string) (*Process, error) {
	args = append([]string{"--namespace", Namespace, "--metrics-bind-address", "0", "--health-probe-bind-address", "0"}, args...)
	return c.StartProgram(ctx, "manager", types.NamespacedName{Namespace: Namespace, Name: ManagerAccount}, "", nil, args...)
}

// StartAgent starts bin/agent with the rights of its service account on a node, which is made if there is none and has its
// root directory in hostRoot.
func (c *ControlPlane) StartAgent(ctx context.Context, hostRoot, node string, args ...string) (*Process, error) {
	args = append([]string{"--namespace", Namespace, "--host-root", hostRoot, "--node-name", node}, args...)
	return c.StartProgram(ctx, "agent", types.NamespacedName{Namespace: Namespace, Name: AgentAccount}, node, nil, args...)
}

// StartProgram starts one of bin/ with the rights of an account and with variables of its own in its environment. Where a node is
// named, the account's token is for that node.
func (c *ControlPlane) StartProgram(ctx context.Context, program string, account types.NamespacedName, node string, env []string, args ...string) (*Process, error) {
	var kubeconfig string
	var err error
	if node == "" {
		kubeconfig, err = c.kubeconfigOf(ctx, account, nil)
	} else {
		kubeconfig, err = c.kubeconfigOnNode(ctx, account, node)
	}
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(c.root, "bin", program), args...)
	cmd.Env = append(append(os.Environ(), "TMPDIR="+c.dir), env...) // so that a killed one leaves nothing
	cmd.Env = append(cmd.Env, "KUBECONFIG="+kubeconfig)
	return run(cmd)
}

func run(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for who started it, who then asks it to end
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Again starts a process like this one, which asks nothing of the API server.
func (p *Process) Again() (*Process, error) {
	cmd := exec.Command(p.cmd.Path, p.cmd.Args[1:]...)
	cmd.Env = p.cmd.Env
	return run(cmd)
}

// Write takes what the process prints.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

// Log returns what the process has printed so far.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// PeakMemory is the most that the process has had in memory so far, in MiB.
func (p *Process) PeakMemory() (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int
	if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
		return 0, fmt.Errorf("VmHWM in /proc/%d/status: %w", p.cmd.Process.Pid, err)
	}
	return kib >> 10, nil
}

// Exited is closed once the process has ended.
func (p *Process) Exited() <-chan struct{} {
	return p.exited
}

// Kill ends the process immediately.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.exited
}

// Send sends the process a signal.
func (p *Process) Send(signal syscall.Signal) error {
	return p.cmd.Process.Signal(signal)
}

// Stop asks the process to end, and kills it if it has not within ten seconds, which is an error.
func (p *Process) Stop() error {
	_ = p.Send(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.exited:
		return p.err
	case <-time.After(10 * time.Second):
		p.Kill()
		return fmt.Errorf("%s did not end on SIGTERM", p.cmd.Path)
	}
}

// ExitCode is that of a process that has ended.
func (p *Process) ExitCode() int {
	return p.cmd.ProcessState.ExitCode()
}

// PID returns the number of the process.
func (p *Process) PID() int {
	return p.cmd.Process.Pid
}
