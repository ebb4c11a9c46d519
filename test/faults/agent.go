// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/mirrorset/mirrorset/test/enclosure"
)

const (
	kubeconfig = enclosure.Memory + "/kubeconfig"
	agentLog   = enclosure.Memory + "/agent.log"
	readyFile  = enclosure.Memory + "/ready"
)

// noAPIServer is a cluster that is away, so that the agent goes by what an earlier one left.
const noAPIServer = `{"apiVersion": "v1", "kind": "Config", "current-context": "x",
"clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}], "contexts": [{"name": "x", "context": {"cluster": "x"}}]}`

const (
	// patience is how long an agent may take for its work and to end, on a busy machine.
	patience = time.Minute
	// poll is how often a host is looked at while an agent works on it.
	poll = 10 * time.Millisecond
)

// run has an agent work until the host is as it should be, and then ends the agent. It kills the agent before the call with that number, of those
// that change the host; 0 for none.
func run(agent, root string, isDone func(tree) bool, killAt int) (killed bool, calls []call, err error) {
	log, err := os.Create(agentLog)
	if err := errors.Join(err, os.RemoveAll(readyFile)); err != nil {
		return false, nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cmd := exec.Command(agent, "--host-root", root, "--node-name", "faults", "--namespace", "faults", "--allow-default-host",
		"--ready-file", readyFile)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "TMPDIR="+enclosure.Memory)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	ctx, stop := context.WithCancel(context.Background())
	watched := make(chan error, 1)
	t := &tracer{root: root, killAt: killAt}
	killed, err = t.trace(func() (int, error) {
		if err := cmd.Start(); err != nil {
			watched <- nil
			return 0, err
		}
		go func() { watched <- endWhenDone(ctx, root, isDone, cmd.Process) }()
		return cmd.Process.Pid, nil
	})
	stop()
	if err = errors.Join(err, <-watched); err != nil {
		text, _ := os.ReadFile(agentLog)
		err = fmt.Errorf("%w\n%s", err, text)
	}
	return killed, t.calls, err
}

// endWhenDone asks an agent to end as soon as it is ready and the host is as wanted. One that is not there in time, or does not end, is killed.
func endWhenDone(ctx context.Context, root string, isDone func(tree) bool, process *os.Process) error {
	deadline := time.After(patience)
	asked := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-deadline:
			failed := errors.New("the host does not become as wanted")
			if asked {
				failed = errors.New("SIGTERM does not end the agent")
			}
			return errors.Join(failed, process.Kill())
		case <-time.After(poll):
		}
		if asked {
			continue
		}
		now, err := read(root)
		if err != nil {
			return errors.Join(err, process.Kill())
		}
		if _, err := os.Stat(readyFile); err == nil && isDone(now) { // before it is ready, a signal may end it as any program
			asked = true
			if err := process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
		}
	}
}
