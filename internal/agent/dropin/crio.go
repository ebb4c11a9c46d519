// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package dropin

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// crioName is what the kernel calls CRI-O's process.
const crioName = "crio"

// reload has each CRI-O of the host read its configuration again, if that is owed since the drop-in changed or this agent
// started. It takes the host's PID namespace.
func (s *Sink) reload() error {
	if !s.reloads || !s.reloadOwed {
		return nil
	}
	pids, err := processes(os.DirFS("/proc"), crioName)
	if err != nil {
		return fmt.Errorf("finding the CRI-O process: %w", err)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
			return fmt.Errorf("reloading CRI-O, process %d: %w", pid, err)
		}
		s.env.Log.Info("Told CRI-O to reload its configuration", "process", pid)
	}
	s.reloadOwed = false
	return nil
}

// processes returns those with a name that belong to root, so that no other user can have one of his killed by calling it so.
func processes(proc fs.FS, name string) ([]int, error) {
	entries, err := fs.ReadDir(proc, ".")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		status, err := fs.ReadFile(proc, entry.Name()+"/status") // it may have ended since
		if err != nil {
			continue
		}
		if field(status, "Name") == name && strings.HasPrefix(field(status, "Uid"), "0\t") {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// field returns a line of a process's status.
func field(status []byte, name string) string {
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, name+":\t"); ok {
			return strings.TrimSuffix(value, "\n")
		}
	}
	return ""
}
