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

// KillAPIServer ends kube-apiserver as the kernel does where there is no memory left. StartAPIServer starts it again.
func (c *ControlPlane) KillAPIServer() error {
	return c.kill("kube-apiserver")
}

// KillEtcd ends etcd in the same way; the API server stays.
func (c *ControlPlane) KillEtcd() error {
	return c.kill("etcd")
}

// StartEtcd starts etcd again, at the same address and with what it has on disk.
func (c *ControlPlane) StartEtcd() error {
	return c.Env.ControlPlane.Etcd.Start()
}

// kill ends the process of a program that has the folder of this control plane among its arguments, and returns once it is gone.
func (c *ControlPlane) kill(program string) error {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, line := range lines {
		args, err := os.ReadFile(line)
		first, _, _ := bytes.Cut(args, []byte{0})
		if err != nil || filepath.Base(string(first)) != program || !bytes.Contains(args, []byte(c.dir)) {
			continue // or it has ended meanwhile
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(line)))
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return err
		}
		for {
			if _, err := os.Stat(line); errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return fmt.Errorf("no process of %s has %s among its arguments", program, c.dir)
}
