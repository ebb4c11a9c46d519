// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/route"
)

// age makes the keys of a host older.
func age(t *testing.T, root string, by time.Duration) {
	t.Helper()
	file := filepath.Join(root, keysFile.Path)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found keys
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	found.Since = found.Since.Add(-by)
	if text, err = json.Marshal(found); err != nil {
		t.Fatal(err)
	}
	sinktest.Write(t, root, keysFile.Path, string(text))
}

func TestTheKeyIsRotatedAndTheOneBeforeOpensOnceMore(t *testing.T) { // N10
	n, root, _ := newHost(t, sinktest.Files{other: foreign})
	n = withRedirector(t, n)
	address := "http://" + n.server.Address()
	offer(t, n, 0, "!shut.com/x")
	paths := []string{n.keys.open()[0].Path("shut.com", route.Source)}
	want := func(when string, path string, code int) {
		t.Helper()
		if got := sinktest.Ask(t, address+path, "shut.com", "x/y"); got != code {
			t.Errorf("%s: got %d, want %d", when, got, code)
		}
	}
	for rotation := 1; rotation <= 2; rotation++ {
		age(t, root, keyLife-time.Minute)
		if err := n.repair(); err != nil {
			t.Fatal(err)
		}
		want("before its time", paths[len(paths)-1], http.StatusForbidden)
		age(t, root, 2*time.Minute)
		if err := n.repair(); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, n.keys.open()[0].Path("shut.com", route.Source))
		if file := sinktest.Tree(t, filepath.Join(root, dir))["shut.com/hosts.toml"]; !strings.Contains(file, paths[rotation]) || strings.Contains(file, paths[rotation-1]) {
			t.Errorf("the file does not have the new element: %s", file)
		}
	}
	want("the present key", paths[2], http.StatusForbidden)
	want("the key before", paths[1], http.StatusForbidden)
	want("the key before that", paths[0], http.StatusNotFound)
}

func TestAnotherAgentOfTheHostOpensByTheSameKeys(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{other: foreign})
	n = withRedirector(t, n)
	successor := (&host{Sink: n.Sink, logged: n.logged}).withPort(sinktest.FreePort(t))
	if open := successor.keys.open(); open != nil {
		t.Errorf("before any agent wrote a file, %d keys are wanted", len(open))
	}
	offer(t, n, 0, "!shut.com/x")
	if a, b := n.keys.open(), successor.keys.open(); len(b) != 1 || a[0] != b[0] {
		t.Error("the successor has other keys")
	}
	for _, damage := range []string{"", "{", `{"current": ""}`} {
		sinktest.Write(t, root, keysFile.Path, damage)
		if a, b := n.keys.open(), successor.keys.open(); len(b) != 1 || a[0] != b[0] {
			t.Errorf("%q: a damaged file takes the keys away", damage)
		}
	}
	for what, damage := range map[string]func() error{
		"readable": func() error { return os.Chmod(filepath.Join(root, keysFile.Path), 0o644) },
		"damaged":  func() error { return os.WriteFile(filepath.Join(root, keysFile.Path), []byte("{"), 0o600) },
		"deleted":  func() error { return os.Remove(filepath.Join(root, keysFile.Path)) },
	} {
		before := n.keys.open()[0]
		if err := errors.Join(damage(), n.repair()); err != nil {
			t.Fatal(err)
		}
		if later := n.withPort(sinktest.FreePort(t)); len(later.keys.open()) != 1 || later.keys.open()[0] != before {
			t.Errorf("a %s file is not written again", what)
		}
		if info, err := os.Stat(filepath.Join(root, keysFile.Path)); err != nil || info.Mode() != 0o600 {
			t.Errorf("a %s file has mode %v, error %v", what, info.Mode(), err)
		}
	}
	sinktest.Write(t, root, keysFile.Path, "{")
	fresh := n.withPort(sinktest.FreePort(t))
	if key, err := fresh.keys.write(); err != nil || key == "" || successor.keys.open()[0] != key {
		t.Errorf("a damaged file is not replaced: error %v", err)
	}
}

func TestAKeyThatWasWrittenIsKnownWhateverBecomesOfItsFile(t *testing.T) { // nothing leads to entries that are open to all
	n, root, _ := newHost(t, sinktest.Files{keysFile.Path: "{"})
	stop := make(chan struct{})
	var damaging sync.WaitGroup
	defer damaging.Wait()
	defer close(stop)
	damaging.Go(func() {
		for name := filepath.Join(root, keysFile.Path); ; {
			select {
			case <-stop:
				return
			default:
				_ = os.WriteFile(name, []byte("{"), 0o600) // there may be none at that moment
			}
		}
	})
	for range 5000 {
		if key, _ := (&keyring{host: n.env.Host, log: n.env.Log}).write(); key == "" {
			t.Fatal("there is no key")
		}
	}
}

func TestWhatOpensTheRedirectorIsRootsAlone(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{other: foreign, dir + "/mixed.com/ca.crt": "theirs"})
	n = withRedirector(t, n)
	offer(t, n, 0, "shut.com/x", "mixed.com/x")
	wantModes := func() {
		t.Helper()
		for name, want := range map[string]os.FileMode{keysFile.Path: 0o600, dir + "/shut.com/hosts.toml": 0o600, dir + "/shut.com": 0o700 | os.ModeDir, dir + "/mixed.com/hosts.toml": 0o600, dir + "/mixed.com": 0o755 | os.ModeDir, dir: 0o755 | os.ModeDir} {
			info, err := os.Stat(filepath.Join(root, name))
			if err != nil || info.Mode() != want {
				t.Errorf("%s has mode %v, want %v, error %v", name, info.Mode(), want, err)
			}
		}
	}
	wantModes()
	for name, mode := range map[string]os.FileMode{dir + "/shut.com/hosts.toml": 0o644, dir + "/shut.com": 0o755} { // as an agent from before left them
		if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.repair(); err != nil {
		t.Fatal(err)
	}
	wantModes()
	if err := n.Clean(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(root, keysFile.Path)); !os.IsNotExist(err) {
		t.Errorf("the keys outlive the agent: %v", err)
	}
}

func TestRulesAreInForceWhereTheKeysCannotBeKept(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{other: foreign, keysFile.Path + "/theirs": ""})
	n = withRedirector(t, n)
	offer(t, n, 0, "!shut.com/x")
	if len(n.Findings) > 0 || n.Again == nil || len(n.Problems) != 1 || !strings.Contains(n.Problems[0].Remedy, "/"+keysFile.Path+": ") || !strings.Contains(n.Problems[0].Remedy, "remove it") {
		t.Errorf("findings %v, again %v, problems %v", n.Findings, n.Again, n.Problems)
	}
	want := func(path string, code int) {
		t.Helper()
		if got := sinktest.Ask(t, "http://"+n.server.Address()+path, "shut.com", "x/y"); got != code {
			t.Errorf("got %d, want %d", got, code)
		}
	}
	key := n.keys.open()[0]
	want(key.Path("shut.com", route.Source), http.StatusForbidden)
	want(route.Key("guessed").Path("shut.com", route.Source), http.StatusNotFound)
	if file := sinktest.Tree(t, filepath.Join(root, dir))["shut.com/hosts.toml"]; !strings.Contains(file, key.Path("shut.com", route.Source)) {
		t.Errorf("the file does not lead to the redirector: %s", file)
	}
	if err := os.RemoveAll(filepath.Join(root, keysFile.Path)); err != nil {
		t.Fatal(err)
	}
	if err := n.repair(); err != nil || n.Again != nil || len(n.Problems) > 0 {
		t.Errorf("error %v, again %v, problems %v", err, n.Again, n.Problems)
	}
	if again := (&keyring{host: n.env.Host, log: n.env.Log}).open(); len(again) != 1 || again[0] != key {
		t.Errorf("another agent opens by %v", again)
	}
}
