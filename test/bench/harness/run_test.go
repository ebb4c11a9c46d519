// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newRunner returns one for a repository with one commit.
func newRunner(t *testing.T) (runner, *bytes.Buffer) {
	t.Helper()
	console := &bytes.Buffer{}
	r := runner{repository: t.TempDir(), out: t.TempDir(), runs: 3, layer: "64Mi", console: console}
	if err := os.WriteFile(filepath.Join(r.repository, "Makefile"), []byte("there:\n\t@touch made\nnone:\n\t@exit 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "a"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = r.repository
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return r, console
}

func TestARunIsKeptWithHowItEnded(t *testing.T) {
	const line = `echo "BenchmarkX/way=mirrorset 1 5 ns/op"; `
	for _, c := range []struct {
		name, command string
		needs         []string
		want          string // of the file behind the head, or all of it
		err           string
	}{
		{name: "as often as is wanted", command: line, want: "BenchmarkX/way=mirrorset 1 5 ns/op\nBenchmarkX/way=mirrorset 1 5 ns/op\nBenchmarkX/way=mirrorset 1 5 ns/op\n\nresult: ok\n"},
		{name: "once, where the command itself measures as often", command: "echo {runs} of {layer}", want: "3 of 64Mi\n\nresult: ok\n"},
		{name: "with what it needs", command: "cat made", needs: []string{"there"}, want: "\nresult: ok\n"},
		{name: "up to what fails", command: line + "exit 7", want: "BenchmarkX/way=mirrorset 1 5 ns/op\n\nresult: exit status 7\n", err: "exit status 7"},
		{name: "not where something that it needs cannot be built", command: line, needs: []string{"none"},
			want: "\nresult: make none: exit status 2\n", err: "make none: exit status 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := newRunner(t)
			err := r.row(context.Background(), row{name: "x", folder: ".", command: c.command, needs: c.needs})
			if c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != c.err) {
				t.Errorf("got error %v, want %q", err, c.err)
			}
			text, err := os.ReadFile(outputOf(r.out, "x"))
			if err != nil {
				t.Fatal(err)
			}
			got := string(text)
			if head, rest, ok := strings.Cut(got, "\n\n"); ok && strings.HasPrefix(head, "row: x\n") {
				got = rest
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// What an earlier run measured is not taken for what this one did.
func TestAFailedRunLeavesNothingOfAnEarlierOne(t *testing.T) {
	r, _ := newRunner(t)
	for _, command := range []string{"echo BenchmarkX 1 5 ns/op", "exit 1"} {
		_ = r.row(context.Background(), row{name: "x", folder: ".", command: command})
	}
	if _, err := readOutput(r.out, "x"); err == nil || err.Error() != "its run failed: exit status 1" {
		t.Errorf("got %v", err)
	}
}

func TestTheCommitIsNamedWithWhatIsNotInIt(t *testing.T) {
	for _, c := range []struct {
		file        string
		withChanges bool
	}{{"", false}, {"docs/explanation/performance.md", false}, {"main.go", true}} {
		r, _ := newRunner(t)
		if c.file != "" {
			path := filepath.Join(r.repository, c.file)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		commit, err := r.commit(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		name, withChanges := strings.CutSuffix(commit, " with changes")
		if len(name) != 12 || withChanges != c.withChanges {
			t.Errorf("%s: got %q", c.file, commit)
		}
	}
}

func TestARowIsOfOneCommit(t *testing.T) {
	const commit = "git add . && git -c user.name=a -c user.email=a@example.com commit -q -m b"
	for _, c := range []struct {
		name, during string
		err          string // with # for each commit
	}{
		{name: "the documents change", during: "mkdir -p docs && date >docs/a.md"},
		{name: "and are committed", during: "mkdir -p docs && date >docs/a.md && " + commit},
		{name: "a source changes", during: "touch main.go", err: "it began at commit #, and ended at # with changes"},
		{name: "and is committed", during: "touch main.go && " + commit, err: "it began at commit #, and ended at #"},
	} {
		r, _ := newRunner(t)
		r.runs = 1
		err := r.row(t.Context(), row{name: "x", folder: ".", command: "echo BenchmarkX 1 5 ns/op; " + c.during})
		got := ""
		if err != nil {
			got = regexp.MustCompile("[0-9a-f]{12}").ReplaceAllString(err.Error(), "#")
		}
		if got != c.err {
			t.Errorf("%s: got error %v, want %q", c.name, err, c.err)
		}
	}
}

func TestRowsThatWantRootAreNotRunWithoutIt(t *testing.T) {
	r, console := newRunner(t)
	err := r.all(context.Background(), []string{"stream"})
	const why = "stream is not run: it wants root"
	if err == nil || err.Error() != why || console.String() != why+"\n" {
		t.Errorf("got error %v, and %q", err, console)
	}
	if _, err := readOutput(r.out, "stream"); err == nil || err.Error() != errNone.Error() {
		t.Errorf("got %v", err)
	}
	if err := r.all(context.Background(), []string{"text", "strem"}); err == nil || !strings.HasPrefix(err.Error(), "there is no row strem; there are text, lookup, ") {
		t.Errorf("got %v", err)
	}
}

func TestTwoRunsDoNotWriteIntoOneFolder(t *testing.T) {
	r, _ := newRunner(t)
	unlock, err := lock(r.out)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.all(t.Context(), []string{"stream"}); err == nil || err.Error() != r.out+": another run writes there" {
		t.Errorf("got %v", err)
	}
	unlock()
	if err := r.all(t.Context(), []string{"stream"}); err == nil || err.Error() != "stream is not run: it wants root" {
		t.Errorf("once the other one has ended: %v", err)
	}
}

// A run that was stopped is none that measured all it was to.
func TestARunThatIsStoppedBetweenRowsFails(t *testing.T) {
	r, _ := newRunner(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.all(ctx, []string{"text", "lookup"}); err == nil || err.Error() != "text is not run: context canceled" {
		t.Errorf("got %v", err)
	}
	if _, err := readOutput(r.out, "text"); err == nil || err.Error() != errNone.Error() {
		t.Errorf("got %v", err)
	}
}

// Who stops a run stops what its command has started, too, whatever process group that is in.
func TestARunEndsAsAWhole(t *testing.T) {
	if err := adoptOrphans(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, command string }{
		{"a process in the group of the command", "sleep 1000 & echo $!; wait"},
		{"one in a group of its own, as a control plane of a test", "setsid bash -c 'echo $$; exec sleep 1000 >/dev/null 2>&1' & wait"},
		{"one that was started by such a one", "setsid bash -c 'sleep 1000 >/dev/null 2>&1 & echo $!; exec >/dev/null 2>&1; wait' & wait"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := newRunner(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			console := &firstWrite{then: stop}
			r.console = console
			if err := r.row(ctx, row{name: "x", folder: ".", command: c.command}); err == nil {
				t.Fatal("there was no error")
			}
			pid, err := strconv.Atoi(strings.TrimSpace(console.text))
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("process %d is still there: %v", pid, err)
			}
		})
	}
}

func TestWhatDoesNotEndIsKilled(t *testing.T) {
	cmd := exec.Command("bash", "-c", `trap "" TERM; echo; exec sleep 1000`)
	said, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = said.Read(make([]byte, 1)) // now it takes no signal
	}
	if err == nil {
		err = endOrphans(time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", cmd.Process.Pid, err)
	}
}

// firstWrite calls a function once a number was written.
type firstWrite struct {
	text string
	then func()
}

func (w *firstWrite) Write(text []byte) (int, error) {
	if _, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		w.text = string(text)
		w.then()
	}
	return len(text), nil
}
