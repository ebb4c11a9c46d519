// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// orphansGrace is how long what a command left running has to end by itself once it is asked to.
const orphansGrace = 10 * time.Second

// adoptOrphans has the processes that lose their parent below this one become its children, so that it can end them: a control plane
// that a test started has a process group of its own, which no signal to that of the test reaches.
func adoptOrphans() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// endOrphans ends all children of this process, and theirs as they become its own, and returns once they are gone. Those that have not
// ended after a grace are killed. None of them may be waited for elsewhere.
func endOrphans(grace time.Duration) error {
	asked := map[int]bool{}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		children, err := reap()
		if err != nil || len(children) == 0 {
			return err
		}
		for _, pid := range children {
			switch {
			case time.Since(began) > grace:
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended meanwhile
			case !asked[pid]:
				_ = syscall.Kill(pid, syscall.SIGTERM)
				asked[pid] = true
			}
		}
	}
}

// reap takes note of the children that have ended, and returns the others.
func reap() ([]int, error) {
	for {
		switch pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); {
		case errors.Is(err, syscall.ECHILD):
			return nil, nil
		case err != nil && !errors.Is(err, syscall.EINTR):
			return nil, err
		case err == nil && pid == 0:
			return children()
		}
	}
}

// children are the processes that have this one as their parent.
func children() (pids []int, err error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // behind the name, which may have anything in it
		if parent, err := strconv.Atoi(string(fields[1])); err != nil || parent != os.Getpid() {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}
