// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package respawn runs a program as a child process of itself. It restarts a child that crashes immediately, with the same open files.
// Clients that connect in the meantime to a socket among these files wait instead of being refused.
package respawn

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/go-logr/logr"
)

const (
	// proven is how long a child must have run before the parent replaces it after a crash. If a child crashes sooner, the parent exits.
	// The container runtime or service manager that started the parent then restarts it, and waits longer each time.
	proven = time.Second
	// maxCrashes is how many crashes the parent tolerates within the given time. After one more it exits too, so that the process that
	// started it counts and shows repeated crashes.
	maxCrashes, within = 30, 10 * time.Minute
	// goCrashed is the exit status of a Go program that panics.
	goCrashed = 2
	// signalled is what shells add to the number of a signal that ended a program.
	signalled = 128
)

// Parent describes the child that a parent process runs.
type Parent struct {
	// Args are the arguments of the child, without the program's name.
	Args []string
	// Files are the files that the child inherits, from descriptor 3 on.
	Files []*os.File
	// Ready is a file that the child writes once it does its work.
	Ready string
	Log   logr.Logger
}

// Run runs children until one of them ends by itself, or crashes too early or too often for a restart to help. It returns the exit status
// of that child. Run forwards SIGTERM and SIGINT to the child and does not replace it then. A child ends with its parent. Run must be
// called once, by the goroutine of main.
func (p *Parent) Run() (status int, err error) {
	return p.run(proven)
}

func (p *Parent) run(proven time.Duration) (status int, err error) {
	runtime.LockOSThread() // the kernel ends a child together with the thread that started it
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	var crashes [maxCrashes]time.Time // the most recent ones
	for n := 0; ; n = (n + 1) % maxCrashes {
		began := time.Now()
		child := exec.Command(self, p.Args...) //nolint:gosec // starts this same program
		child.Stdin, child.Stdout, child.Stderr, child.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, p.Files
		child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := os.Remove(p.Ready); err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		if err := child.Start(); err != nil {
			return 0, err
		}
		told := wait(child, signals)
		state, _ := child.ProcessState.Sys().(syscall.WaitStatus) // always the type on Linux
		_, unready := os.Stat(p.Ready)
		crashed := state.Signaled() || state.ExitStatus() == goCrashed
		if told || !crashed || unready != nil || time.Since(began) < proven || time.Since(crashes[n]) < within {
			if state.Signaled() {
				return signalled + int(state.Signal()), nil
			}
			return state.ExitStatus(), nil
		}
		crashes[n] = time.Now()
		p.Log.Info("The serving process crashed; restarting it", "state", child.ProcessState.String())
	}
}

// wait waits until a child ends, and reports whether a signal asked it to end.
func wait(child *exec.Cmd, signals <-chan os.Signal) (told bool) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = child.Wait() // the child's state shows how it ended
	}()
	for {
		select {
		case s := <-signals:
			told = true
			_ = child.Process.Signal(s) // the child may have ended already
		case <-ended:
			select {
			case <-signals:
				told = true
			default:
			}
			return told
		}
	}
}
