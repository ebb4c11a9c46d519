// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// StopAPIServer has kube-apiserver end; etcd stays. It would wait a minute for those who watch, and gets less.
func (c *ControlPlane) StopAPIServer() error {
	return c.end("kube-apiserver", 3*time.Second)
}

// KillAPIServer ends kube-apiserver as the kernel does where there is no memory left. StartAPIServer starts it again.
func (c *ControlPlane) KillAPIServer() error {
	return c.end("kube-apiserver", 0)
}

// KillEtcd ends etcd in the same way; the API server stays.
func (c *ControlPlane) KillEtcd() error {
	return c.end("etcd", 0)
}

// StartEtcd starts etcd again, at the same address and with what it has on disk.
func (c *ControlPlane) StartEtcd() error {
	return c.Env.ControlPlane.Etcd.Start()
}

// end ends the process of a program that has the folder of this control plane among its arguments, and returns once it is gone. Where there
// is a grace, the process is asked to end, and killed only where it still exists after that.
func (c *ControlPlane) end(program string, grace time.Duration) error {
	process, err := c.find(program)
	if err != nil {
		return err
	}
	if grace > 0 {
		if err := process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
	}
	for asked, killed := time.Now(), false; ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", process.Pid)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !killed && time.Since(asked) >= grace {
			if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
			killed = true
		}
	}
}

func (c *ControlPlane) find(program string) (*os.Process, error) {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		args, err := os.ReadFile(line)
		first, _, _ := bytes.Cut(args, []byte{0})
		if err != nil || filepath.Base(string(first)) != program || !bytes.Contains(args, []byte(c.dir)) {
			continue // or it has ended meanwhile
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(line)))
		if err != nil {
			return nil, err
		}
		return os.FindProcess(pid)
	}
	return nil, fmt.Errorf("no process of %s has %s among its arguments", program, c.dir)
}
