// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorset/mirrorset/test/enclosure"
)

// program is one that runs.
type program struct {
	pid    int
	log    string // a file
	exited chan struct{}
}

// start starts a program. The namespaces end it.
func start(name string, command []string) (*program, error) {
	p := &program{log: enclosure.Memory + "/" + name + ".log", exited: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the program has its own
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "TMPDIR="+enclosure.Memory)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.pid = cmd.Process.Pid
	go func() {
		_ = cmd.Wait() // its log says why
		close(p.exited)
	}()
	return p, nil
}

// await waits until a program does its work.
func (n *node) await(ctx context.Context, name string, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-n.programs[name].exited:
			return fmt.Errorf("%s has ended\n%s", name, n.logs())
		case <-ctx.Done():
			return fmt.Errorf("%s does not come up: %w\n%s", name, err, n.logs())
		}
	}
}

// logs returns the last lines of each program.
func (n *node) logs() string {
	var all strings.Builder
	for name, p := range n.programs {
		text, err := os.ReadFile(p.log)
		if err != nil {
			text = []byte(err.Error())
		}
		lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		fmt.Fprintf(&all, "== %s\n%s\n", name, bytes.Join(lines[max(0, len(lines)-10):], []byte("\n")))
	}
	return all.String()
}

// ticks is how many of the units in which Linux shows processor time make a second.
const ticks = 100

// used returns the processor time that a program has used so far, in its own code and in the kernel.
func (n *node) used(name string) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.programs[name].pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // behind the name, the 3rd field and all others
	fields := strings.Fields(rest)
	var sum int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}
