// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// runner runs rows, and keeps what their benchmarks print.
type runner struct {
	repository string // its folder
	out        string // the folder of the output
	runs       int
	layer      string
	root       bool      // commands may want root
	console    io.Writer // of who runs it
}

// all runs rows by their names; all where there are none. A row that fails does not stop the others, but the machine's owner does.
func (r runner) all(ctx context.Context, names []string) error {
	chosen, err := selected(names)
	if err == nil {
		err = adoptOrphans()
	}
	if err != nil {
		return err
	}
	if r.repository, err = filepath.Abs(r.repository); err != nil {
		return err
	}
	unlock, err := lock(r.out)
	if err != nil {
		return err
	}
	defer unlock()
	var failed []error
	for _, row := range chosen {
		if ctx.Err() != nil {
			failed = append(failed, fmt.Errorf("%s is not run: %w", row.name, ctx.Err()))
			break
		}
		if row.root && !r.root {
			err := fmt.Errorf("%s is not run: it wants root", row.name)
			if len(names) > 0 {
				failed = append(failed, err)
			}
			fmt.Fprintln(r.console, err)
			continue
		}
		if err := r.row(ctx, row); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", row.name, err))
		}
	}
	return errors.Join(failed...)
}

// lock makes the folder of the output, and takes it for this process alone: two would write into each other's files, and take each other's
// time.
func lock(folder string) (unlock func(), err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = dir.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another run writes there")
		}
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	return func() { _ = dir.Close() }, nil
}

// row runs one. The file has what was measured and where, and ends with a line that says how it ended: without one, it was cut off.
func (r runner) row(ctx context.Context, row row) (failed error) {
	fmt.Fprintf(r.console, "\n%s: %s\n", row.name, row.work)
	// What an earlier run came to is no longer true of this commit, whatever keeps this one from measuring.
	file, err := os.Create(outputOf(r.out, row.name))
	if err != nil {
		return err
	}
	defer func() {
		how := resultOK
		if failed != nil {
			failed = errors.Join(failed, endOrphans(orphansGrace))
			how = strings.ReplaceAll(failed.Error(), "\n", "; ")
		}
		_, err := fmt.Fprintf(file, "\n%s%s\n", resultKey, how)
		failed = errors.Join(failed, err, file.Close())
	}()
	if err := r.make(ctx, row.needs); err != nil {
		return err
	}
	command, times := r.commandOf(row), r.runs
	if strings.Contains(row.command, "{runs}") {
		times = 1
	}
	commit, err := r.commit(ctx)
	if err != nil {
		return err
	}
	about, err := r.about(row, command, commit)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(file, about); err != nil {
		return err
	}
	for range times {
		cmd := r.prepare(ctx, "bash", "-c", command)
		cmd.Dir = filepath.Join(r.repository, row.folder)
		cmd.Stdout, cmd.Stderr = io.MultiWriter(file, r.console), r.console
		if err := cmd.Run(); err != nil {
			return err
		}
	}
	return r.isStill(ctx, commit)
}

// commandOf is the row's command with the values of this run.
func (r runner) commandOf(row row) string {
	return strings.NewReplacer("{runs}", strconv.Itoa(r.runs), "{layer}", r.layer).Replace(row.command)
}

// make has what a command needs built.
func (r runner) make(ctx context.Context, needs []string) error {
	if len(needs) == 0 {
		return nil
	}
	cmd := r.prepare(ctx, "make", append([]string{"--no-print-directory"}, needs...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.repository, r.console, r.console
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make %s: %w", strings.Join(needs, " "), err)
	}
	return nil
}

// prepare returns a command that is asked to end with the context, as all that it has started is: `go test` ends without its tests.
func (r runner) prepare(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	return cmd
}

// about is the head of a row's output: lines of configuration in Go's benchmark format.
func (r runner) about(row row, command, commit string) (string, error) {
	m, err := thisMachine()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("row: %s\ncommand: %s\nruns: %d\ndate: %s\ncommit: %s\nmachine: %s\n\n",
		row.name, command, r.runs, time.Now().UTC().Format(time.DateOnly), commit, m), nil
}
