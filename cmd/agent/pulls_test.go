// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ask runs this program as somebody does who asks an agent.
func ask(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, append([]string{"pulls"}, args...)...)
	cmd.Env = append(os.Environ(), asAgent+"=1")
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), complaint.String(), cmd.ProcessState.ExitCode()
}

// refuse has the redirector refuse a pull.
func refuse(t *testing.T, a *running) {
	t.Helper()
	var source []string
	a.eventually(t, "containerd's file leads to the redirector", func() bool {
		text, _ := os.ReadFile(filepath.Join(a.root, "etc/containerd/certs.d/s.com/hosts.toml")) // it may not be there yet
		source = regexp.MustCompile(`server = "(.*/source)"`).FindStringSubmatch(string(text))
		return source != nil
	})
	answer, err := http.Head(source[1] + "/shut/app/manifests/latest?ns=s.com")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close() // there is nothing in it
	if answer.StatusCode != http.StatusForbidden {
		t.Fatal(answer.Status)
	}
}

func TestAnAgentIsAskedByItsSocketAlsoAfterACrash(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent.sock")
	port := freePort(t)
	a := startAgent(t, "a: s.com/shut -> m.com [Never]\na: s.com/open -> (none)", "--redirector-port", fmt.Sprint(port), "--socket", socket)
	a.eventually(t, "the agent serves", a.isReady)
	refuse(t, a)
	if stdout, stderr, code := ask(t, "--socket", socket); code != 0 || strings.Count(stdout, "\n") != 2 || !strings.Contains(stdout, `"refusal":"source s.com/shut is blocked`) || stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	child := a.child()
	if child == 0 {
		t.Fatal("there is no child")
	}
	time.Sleep(1100 * time.Millisecond) // one that crashes sooner is not followed by another
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	a.eventually(t, "another process serves", func() bool { return a.child() != child && a.child() != 0 && a.isReady() })
	if stdout, stderr, code := ask(t, "--socket", socket); code != 0 || strings.Count(stdout, "\n") != 1 || !strings.HasPrefix(stdout, `{"since":"`) || stderr != "" {
		t.Errorf("after a crash: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if status := a.end(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if _, stderr, code := ask(t, "--socket", socket); code != 1 || !strings.HasPrefix(stderr, "no agent answers on "+socket+": ") {
		t.Errorf("after its end: exit code %d, stderr %q", code, stderr)
	}
}

func TestAWatchEndsWithItsInputWhereThatIsAskedFor(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent.sock")
	a := startAgent(t, "a: s.com/shut -> m.com [Never]\na: s.com/open -> (none)", "--redirector-port", fmt.Sprint(freePort(t)), "--socket", socket)
	a.eventually(t, "the agent serves", a.isReady)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	watch := func(input io.Reader, args ...string) (cmd *exec.Cmd, lines *bufio.Scanner) {
		cmd = exec.CommandContext(t.Context(), self, append([]string{"pulls", "--watch", "--socket", socket}, args...)...)
		cmd.Env, cmd.Stdin = append(os.Environ(), asAgent+"=1"), input
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines = bufio.NewScanner(out)
		if !lines.Scan() {
			t.Fatal("there is no head")
		}
		return cmd, lines
	}
	other, otherLines := watch(strings.NewReader(""))
	input, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	held, heldLines := watch(input, "--until-eof")
	_ = input.Close() // it has its own
	refuse(t, a)
	if !otherLines.Scan() || !heldLines.Scan() {
		t.Fatal("a watch ended too early")
	}
	_ = hold.Close() // nothing was written to it
	if err := held.Wait(); err != nil {
		t.Error(err)
	}
	refuse(t, a)
	if !otherLines.Scan() {
		t.Error("a watch ended with an input that it was not told to look at")
	}
	_ = other.Process.Kill() // it may have ended
	_ = other.Wait()         // likewise
}

func TestAnAgentWhoseRedirectorDoesNotServeSaysSoInPlaceOfPulls(t *testing.T) {
	taken, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address, _ := taken.Addr().(*net.TCPAddr) // which is what TCP has
	socket := filepath.Join(t.TempDir(), "agent.sock")
	a := startAgent(t, "a: s.com -> m.com", "--redirector-port", fmt.Sprint(address.Port), "--socket", socket)
	a.eventually(t, "the agent has started", a.isReady)
	for _, args := range [][]string{{"--socket", socket}, {"--watch", "--socket", socket}} {
		stdout, stderr, code := ask(t, args...)
		if code != 3 || stdout != "" || !strings.HasPrefix(stderr, "the agent does not see the pulls of this node: the redirector does not serve: ") {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
	if status := a.end(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

func TestWhatIsAskedOfAnAgentIsReadStrictly(t *testing.T) {
	for _, tt := range []struct {
		args, want string
		code       int
	}{
		{"more", `unexpected argument "more"`, 2},
		{"--what", "flag provided but not defined: -what", 2},
		{"--help", "Usage of agent pulls", 0},
	} {
		if stdout, stderr, code := ask(t, tt.args); code != tt.code || stdout != "" || !strings.HasPrefix(stderr, tt.want) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", tt.args, code, stdout, stderr)
		}
	}
}
