// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package respawn runs a program as a child process of itself. A child that crashes is started again at once, with the same open files:
// clients that connect to a socket among them meanwhile wait instead of being refused.
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
	// proven is how long a child has to have run for another one to follow it. One that crashes sooner is left to whoever started the parent,
	// who waits longer each time.
	proven = time.Second
	// maxCrashes is how many crashes within the time may be followed by another child. One more is left to whoever started the parent as well, so
	// that a child which crashes again and again is counted and seen there.
	maxCrashes, within = 30, 10 * time.Minute
	// goCrashed is the status by which Go ends a program that panics.
	goCrashed = 2
	// signalled is what shells add to the number of the signal that ended a program.
	signalled = 128
)

// Parent is what a parent process has to know.
type Parent struct {
	// Args are those of the child, without the program's name.
	Args []string
	// Files are the child's from descriptor 3 on.
	Files []*os.File
	// Ready is a file that the child writes once it does its work.
	Ready string
	Log   logr.Logger
}

// Run runs children until one of them ends by itself, or does not come so far that another one would do better, and returns that one's exit
// status. SIGTERM and SIGINT go to the child, and no other one follows then. A child ends with its parent. Run is called once, by the goroutine
// of main.
func (p *Parent) Run() (status int, err error) {
	return p.run(proven)
}

func (p *Parent) run(proven time.Duration) (status int, err error) {
	runtime.LockOSThread() // the kernel ends a child with the thread that started it
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	var crashes [maxCrashes]time.Time // the last ones
	for n := 0; ; n = (n + 1) % maxCrashes {
		began := time.Now()
		child := exec.Command(self, p.Args...) //nolint:gosec // this very program
		child.Stdin, child.Stdout, child.Stderr, child.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, p.Files
		child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := os.Remove(p.Ready); err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		if err := child.Start(); err != nil {
			return 0, err
		}
		told := wait(child, signals)
		state, _ := child.ProcessState.Sys().(syscall.WaitStatus) // which it is on Linux
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

// wait waits for a child's end, and reports whether it was told to end.
func wait(child *exec.Cmd, signals <-chan os.Signal) (told bool) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = child.Wait() // how it ended is in its state
	}()
	for {
		select {
		case s := <-signals:
			told = true
			_ = child.Process.Signal(s) // it may have ended
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
