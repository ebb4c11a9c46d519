// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// asAgent has a process of this test's program be an agent.
const asAgent = "MIRRORSET_TEST_AS_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(asAgent) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience is when a test gives up; it is no promise of speed.
const patience = time.Minute

// running is an agent, on a host with rules of an earlier agent and without an API server.
type running struct {
	cmd   *exec.Cmd
	root  string
	ready string
	log   *bytes.Buffer
	ended chan struct{}
}

// startAgent starts one, with the process that starts its children.
func startAgent(t *testing.T, sets string, flags ...string) *running {
	t.Helper()
	folder := t.TempDir()
	a := &running{root: filepath.Join(folder, "host"), ready: filepath.Join(folder, "ready"), log: &bytes.Buffer{}, ended: make(chan struct{})}
	parsed, err := mirrorstest.Parse(sets)
	if err != nil {
		t.Fatal(err)
	}
	text, err := registriesconf.Encode(kinds.Merge(parsed, nil).Rules)
	if err != nil {
		t.Fatal(err)
	}
	state, err := payload.New(time.Now().UnixMilli(), text).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(folder, "kubeconfig")
	for path, content := range map[string]string{
		filepath.Join(a.root, payload.HostPath): string(state), filepath.Join(a.root, "etc/containerd/certs.d/.keep"): "",
		kubeconfig: `{"apiVersion": "v1", "kind": "Config", "current-context": "x", "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}], "contexts": [{"name": "x", "context": {"cluster": "x"}}]}`,
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a.cmd = exec.Command(self, append([]string{"--respawn", "--host-root", a.root, "--node-name", "n", "--namespace", "n", "--ready-file", a.ready}, flags...)...)
	a.cmd.Env = append(os.Environ(), asAgent+"=1", "KUBECONFIG="+kubeconfig)
	a.cmd.Stdout, a.cmd.Stderr = a.log, a.log
	a.cmd.WaitDelay = patience / 10 // a child could outlive it, with this for its output
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(a.ended)
		_ = a.cmd.Wait() // how it ended is in its state
	}()
	t.Cleanup(func() {
		_ = a.cmd.Process.Kill() // it may have ended
		<-a.ended
		if t.Failed() {
			t.Logf("the agent logged:\n%s", a.log)
		}
	})
	return a
}

// eventually waits for a condition.
func (a *running) eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come about that %s", what)
		}
	}
}

func (a *running) isReady() bool {
	_, err := os.Stat(a.ready)
	return err == nil
}

// child returns the process that serves; 0 while there is none.
func (a *running) child() (pid int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		_, after, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(after); err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(a.cmd.Process.Pid) && fields[0] != "Z" {
			pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
		}
	}
	return pid
}

// end tells the agent to end, and returns its exit status.
func (a *running) end(t *testing.T) int {
	t.Helper()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return a.status(t)
}

// status waits for the agent's end.
func (a *running) status(t *testing.T) int {
	t.Helper()
	select {
	case <-a.ended:
		return a.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatal("the agent does not end")
		return 0
	}
}

// freePort returns a port that nothing listens on.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	address, _ := listener.Addr().(*net.TCPAddr) // which is what TCP has
	return address.Port
}

// pulls asks for an open image of a partly blocked registry, as containerd does, over and over, until the returned function is called. That one
// returns how often it asked, what failed, and the longest wait.
func pulls(t *testing.T, url string) (end func() (asked int, failed []error, longest time.Duration)) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: patience}
	var (
		asked   int
		failed  []error
		longest time.Duration
		asking  sync.WaitGroup
	)
	ends := make(chan struct{})
	asking.Go(func() {
		for {
			select {
			case <-ends:
				return
			default:
			}
			began := time.Now()
			resp, err := client.Get(url)
			if err == nil {
				_ = resp.Body.Close() // there is nothing in it
				if resp.StatusCode != http.StatusTemporaryRedirect {
					err = errors.New(resp.Status)
				}
			}
			asked++
			if err != nil {
				failed = append(failed, err)
			}
			longest = max(longest, time.Since(began))
		}
	})
	return func() (int, []error, time.Duration) {
		close(ends)
		asking.Wait()
		return asked, failed, longest
	}
}

// kills is how often the process that serves is killed.
const kills = 20

func TestNoPullFailsWhileTheProcessThatServesIsKilled(t *testing.T) {
	port := freePort(t)
	a := startAgent(t, "a: s.com/shut -> m.com [Never]\na: s.com/open -> (none)", "--redirector-port", fmt.Sprint(port))
	file := filepath.Join(a.root, "etc/containerd/certs.d/s.com/hosts.toml")
	var source []string
	a.eventually(t, "containerd's file leads to the redirector", func() bool {
		text, _ := os.ReadFile(file) // it may not be there yet
		source = regexp.MustCompile(`server = "(.*/source)"`).FindStringSubmatch(string(text))
		return source != nil
	})
	a.eventually(t, "the agent serves", a.isReady)
	end := pulls(t, source[1]+"/open/app/manifests/latest?ns=s.com")
	for i := range kills {
		child := a.child()
		if child == 0 { // which would be this process's group
			t.Fatalf("kill %d: there is no child", i)
		}
		time.Sleep(1100 * time.Millisecond) // one that crashes sooner is not followed by another
		if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		a.eventually(t, "another process serves", func() bool { return a.child() != child && a.child() != 0 && a.isReady() })
	}
	asked, failed, longest := end()
	t.Logf("%d pulls asked while the process that serves was killed %d times: %d failed, the longest waited %s", asked, kills, len(failed), longest.Round(time.Millisecond))
	if len(failed) > 0 {
		t.Errorf("%d of %d pulls failed: %v", len(failed), asked, errors.Join(failed...))
	}
	if status := a.end(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if c, err := net.Dial("tcp4", fmt.Sprint("127.0.0.1:", port)); err == nil {
		_ = c.Close()
		t.Error("the port is still open")
	}
}

func TestAnAgentThatEndsByItselfEndsWithItsStatus(t *testing.T) {
	for name, c := range map[string]struct {
		flags []string
		want  int
	}{
		"an argument that is none":          {[]string{"--redirector-port", "1x"}, 2},
		"a word behind the flags":           {[]string{"word"}, 1},
		"a host that is not there":          {[]string{"--host-root", "/nowhere"}, 1},
		"metrics at an address of nobody's": {[]string{"--metrics-bind-address", "nonsense"}, 1},
	} {
		if got := startAgent(t, "", append([]string{"--redirector-port", fmt.Sprint(freePort(t))}, c.flags...)...).status(t); got != c.want {
			t.Errorf("%s: exit status %d, want %d", name, got, c.want)
		}
	}
}

func TestAnAgentThatCrashesAtOnceIsLeftToWhoStartedIt(t *testing.T) {
	a := startAgent(t, "a: s.com -> m.com", "--redirector-port", fmt.Sprint(freePort(t)))
	a.eventually(t, "it ends", func() bool {
		if child := a.child(); child != 0 {
			_ = syscall.Kill(child, syscall.SIGKILL) // it may have ended
		}
		select {
		case <-a.ended:
			return true
		default:
			return false
		}
	})
	if got := a.status(t); got != 128+int(syscall.SIGKILL) {
		t.Errorf("exit status %d", got)
	}
}

func TestAChildEndsWithItsParent(t *testing.T) {
	a := startAgent(t, "a: s.com -> m.com", "--redirector-port", fmt.Sprint(freePort(t)))
	a.eventually(t, "the agent serves", a.isReady)
	child := a.child()
	if child == 0 {
		t.Fatal("there is no child")
	}
	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	a.eventually(t, "the child is gone", func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		_, after, _ := strings.Cut(string(text), ") ")
		return err != nil || strings.HasPrefix(after, "Z") // for ever, where process 1 waits for no orphans
	})
}
