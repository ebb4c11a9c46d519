// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/certsd/ondisk"
	"github.com/mirrorset/mirrorset/internal/route"
)

func TestFilesLeadToARedirectorThatAnswersByTheSameRules(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{other: foreign})
	n = withRedirector(t, n)
	offer(t, n, 0, "!shut.com/x", "open.com/x", "*.wild.com")
	got := sinktest.Tree(t, filepath.Join(root, dir))
	key := n.keys.open()[0]
	shut := "http://" + n.server.Address() + key.Path("shut.com", route.Source)
	for name, want := range map[string]string{
		"shut.com/hosts.toml": "server = \"" + shut + "\"",
		"open.com/hosts.toml": "server = \"https://open.com\"",
		"_default/hosts.toml": "[host.\"http://" + n.server.Address() + key.Path(route.AnyHost, "0") + "\"]",
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s: got %s", name, got[name])
		}
	}
	if got := sinktest.Ask(t, shut, "shut.com", "x/y"); got != http.StatusForbidden {
		t.Errorf("blocked: got %d", got)
	}
	if got := sinktest.Ask(t, shut, "shut.com", "y"); got != http.StatusTemporaryRedirect {
		t.Errorf("open: got %d", got)
	}
	offer(t, n, 1)
	sinktest.WantTree(t, filepath.Join(root, dir), sinktest.Files{"other.com/hosts.toml": foreign})
	if got := sinktest.Ask(t, shut, "shut.com", "x/y"); got != http.StatusTemporaryRedirect {
		t.Errorf("no longer blocked: got %d", got)
	}
}

func TestARegistryIsClosedWhileSomebodyElseHasTheRedirectorsPort(t *testing.T) {
	n, root, logged := newHost(t, sinktest.Files{other: foreign})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n = n.withPort(listener.Addr().(*net.TCPAddr).Port)
	n.Serve(t.Context())
	offer(t, n, 0, "!shut.com/x", "half.com", "!half.com/x", "open.com/y")
	if n.Again == nil || !strings.Contains(n.Again.Error(), "cannot listen") {
		t.Errorf("to be tried again: %v", n.Again)
	}
	if err := n.repair(); err != nil { // which finds its own file in place
		t.Error(err)
	}
	if !slices.Equal(n.notInForce(), []string{"half.com", "half.com/x", "open.com/y", "shut.com/x"}) {
		t.Errorf("not in force are %q", n.notInForce())
	}
	sinktest.WantTree(t, filepath.Join(root, dir), sinktest.Files{"shut.com/hosts.toml": refusing, "half.com/hosts.toml": refusing, "other.com/hosts.toml": foreign})
	for _, want := range []string{
		"registry shut.com: the rules are not in force for containerd on this node (nothing can be pulled from this registry on this node until the redirector runs, so that no blocked source is contacted; the redirector cannot listen: ",
		", so free " + n.server.Address() + ", or start the manager with another --redirector-port)", "registry open.com: the rules are not in force for containerd on this node (containerd goes to the source)",
	} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("%q is not in the log: %s", want, logged)
		}
	}
	if strings.Contains(logged.String(), "the earlier rules stay in force") || strings.Contains(logged.String(), "must never be contacted") {
		t.Errorf("log %s", logged)
	}

	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	n.Serve(t.Context())
	defer func() { _ = n.Close() }()
	if err := errors.Join(n.repair(), n.Again); err != nil {
		t.Error(err)
	}
	closed := sinktest.Tree(t, filepath.Join(root, dir))["shut.com/hosts.toml"]
	if !certsd.Closes("shut.com", []byte(closed)) || closed == refusing || len(n.Findings) > 0 {
		t.Errorf("once the port is free: got %s, findings %+v", closed, n.Findings)
	}
	if err := errors.Join(n.Close()); err != nil {
		t.Fatal(err)
	}
	n.listening = nil
	offer(t, n, 1, "!shut.com/x", "!shut.com/y")
	if got := sinktest.Tree(t, filepath.Join(root, dir))["shut.com/hosts.toml"]; got != closed {
		t.Errorf("without a redirector again, a blocked registry's file became %s", got)
	}
}

// refusing is the file that closes a registry for want of a redirector.
const refusing = certsd.Marker + `
server = "http://127.0.0.1:0/v2/_mirrorset/source"
capabilities = ["pull", "resolve"]
override_path = true

[host."http://127.0.0.1:0/v2/_mirrorset/source"]
  capabilities = ["pull", "resolve"]
  override_path = true
`

func TestABlockedWildcardIsClosedWithoutARedirectorOnlyWhereThatIsWanted(t *testing.T) {
	for allowed, want := range map[bool]string{true: refusing, false: ""} {
		n, root, logged := newHost(t, sinktest.Files{other: foreign})
		n.settings.allowDefaultHost = allowed
		offer(t, n, 0, "!*.shut.com", "!*.wild.com", "*.open.com")
		if err := n.repair(); err != nil {
			t.Error(err)
		}
		if got := sinktest.Tree(t, filepath.Join(root, dir))["_default/hosts.toml"]; got != want {
			t.Errorf("allowed %t: got %s", allowed, got)
		}
		for _, wildcard := range []string{"*.shut.com", "*.wild.com"} {
			closed := strings.Count(logged.String(), "registry "+wildcard+": the rules are not in force for containerd on this node (nothing can be pulled from any registry without a folder of its own on this node until")
			contacted := strings.Count(logged.String(), "registry "+wildcard+": the rules are not in force for containerd on this node (containerd contacts a source that must never be contacted)")
			if closed != map[bool]int{true: 2}[allowed] || contacted != map[bool]int{false: 2}[allowed] {
				t.Errorf("allowed %t: log %s", allowed, logged)
			}
		}
		open := map[bool]string{true: "nothing can be pulled from any registry", false: "containerd goes to the source"}[allowed]
		if !strings.Contains(logged.String(), "registry *.open.com: the rules are not in force for containerd on this node ("+open) {
			t.Errorf("allowed %t: log %s", allowed, logged)
		}
		n.settings.allowDefaultHost = false
		if err := n.repair(); err != nil {
			t.Error(err)
		}
		sinktest.WantTree(t, filepath.Join(root, dir), sinktest.Files{"other.com/hosts.toml": foreign})
	}
}

func TestARegistryThatCannotBeClosedWithoutARedirectorIsReportedAsOpen(t *testing.T) {
	n, root, logged := newHost(t, sinktest.Files{ourFirst: foreign, dir + "/.new.com.mirrorset-tmp/theirs": ""})
	offer(t, n, 0, "!old.com/x", "!new.com/x")
	sinktest.WantTree(t, filepath.Join(root, dir), sinktest.Files{"old.com/hosts.toml": foreign, ".new.com.mirrorset-tmp/theirs": ""})
	if got := strings.Count(logged.String(), "(containerd contacts a source that must never be contacted, because the agent cannot close it: "); got != 2 || !strings.Contains(logged.String(), "not written by Mirrorset") {
		t.Errorf("log %s", logged)
	}
	if n.Again == nil || strings.Contains(n.Again.Error(), "old.com") || !strings.Contains(n.Again.Error(), "new.com") {
		t.Errorf("to be tried again: %v", n.Again)
	}
}

func TestAFileThatClosesAHostStaysWhereAWildcardBlocksIt(t *testing.T) {
	n, root, logged := newHost(t, sinktest.Files{other: foreign})
	n.settings.allowDefaultHost = true
	n = withRedirector(t, n)
	offer(t, n, 0, "!*.wild.com", "a1.wild.com/x")
	closed := sinktest.Tree(t, filepath.Join(root, dir))["a1.wild.com/hosts.toml"]
	if !certsd.Closes("a1.wild.com", []byte(closed)) {
		t.Fatalf("got %s", closed)
	}
	sinktest.Write(t, root, dir+"/a1.wild.com/ca.crt", "theirs")
	if err := n.repair(); err != nil {
		t.Error(err)
	}
	if got := sinktest.Tree(t, filepath.Join(root, dir))["a1.wild.com/hosts.toml"]; got != closed || !strings.Contains(logged.String(), "the earlier rules stay in force") {
		t.Errorf("got %q, log %s", got, logged)
	}
}

func TestAFileThatClosesARegistryStaysUntilAnotherOneDoes(t *testing.T) {
	const registry, wildcard = "!a1.wild.com/x", "!*.wild.com"
	for _, c := range []struct{ name, before, after, closed, next string }{
		{"a wildcard behind a registry", registry, wildcard, "a1.wild.com", certsd.DefaultHost},
		{"a registry behind a wildcard", wildcard, registry, certsd.DefaultHost, "a1.wild.com"},
	} {
		for way, hinder := range map[string]func(n *host, root string) (mend func()){
			"what cannot be written": func(_ *host, root string) func() {
				obstacle := dir + "/." + c.next + ".mirrorset-tmp/theirs"
				sinktest.Write(t, root, obstacle, "theirs")
				return func() { _ = os.RemoveAll(filepath.Dir(filepath.Join(root, obstacle))) }
			},
			"what needs the redirector": func(n *host, _ string) func() {
				listening := n.listening
				n.listening = nil
				return func() { n.listening = listening }
			},
			"what needs the redirector, and cannot be closed": func(n *host, root string) func() {
				listening, obstacle := n.listening, dir+"/."+c.next+".mirrorset-tmp/theirs"
				n.listening = nil
				sinktest.Write(t, root, obstacle, "theirs")
				return func() {
					n.listening = listening
					_ = os.RemoveAll(filepath.Dir(filepath.Join(root, obstacle)))
				}
			},
		} {
			n, root, _ := newHost(t, sinktest.Files{other: foreign})
			n.settings.allowDefaultHost = true
			n = withRedirector(t, n)
			offer(t, n, 0, c.before, "open.com")
			closed := sinktest.Tree(t, filepath.Join(root, dir))[c.closed+"/hosts.toml"]
			mend := hinder(n, root)
			offer(t, n, 1, c.after)
			if n.Again == nil && n.listening != nil {
				t.Errorf("%s, %s: nothing is to be tried again", c.name, way)
			}
			got := sinktest.Tree(t, filepath.Join(root, dir))
			isKept := got[c.closed+"/hosts.toml"] == closed || got[c.next+"/hosts.toml"] == refusing
			if closed == "" || !isKept || got["open.com/hosts.toml"] != "" {
				t.Errorf("%s, %s: got %q", c.name, way, got)
			}
			mend()
			if err := errors.Join(n.repair(), n.Again); err != nil {
				t.Error(err)
			}
			if got := sinktest.Tree(t, filepath.Join(root, dir)); !certsd.Closes(c.next, []byte(got[c.next+"/hosts.toml"])) || got[c.closed+"/hosts.toml"] != "" {
				t.Errorf("%s, %s: then %q", c.name, way, got)
			}
		}
	}
}

func TestAFileThatClosesARegistryGoesWhereNothingBlocksItAnyMore(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{dir + "/" + certsd.DefaultHost + "/hosts.toml": foreign})
	n.settings.allowDefaultHost = true
	n = withRedirector(t, n)
	offer(t, n, 0, "!a1.wild.com", "!b1.else.com")
	offer(t, n, 1, "!*.wild.com")
	if got := sinktest.Tree(t, filepath.Join(root, dir)); got["a1.wild.com/hosts.toml"] == "" || got["b1.else.com/hosts.toml"] != "" {
		t.Errorf("a default host of somebody else: got %q", got)
	}
	offer(t, n, 2)
	if got := sinktest.Tree(t, filepath.Join(root, dir)); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

func TestWhatIsNoFolderIsNotWaitedFor(t *testing.T) {
	n, root, logged := newHost(t, sinktest.Files{other: foreign})
	for _, name := range []string{dir + "/s.com", dir + "/t.com:5000", ondisk.OwnTLSDir + "/mirror.local:5000"} {
		name = filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), syscall.Mkfifo(name, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		offer(t, n, 0, "s.com", "t.com:5000", "u.com")
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("a pipe is waited for")
	}
	if _, err := os.Stat(filepath.Join(root, dir, "u.com/hosts.toml")); err != nil || !strings.Contains(logged.String(), "s.com is not a folder of Mirrorset") {
		t.Errorf("error %v, log %s", err, logged)
	}
}

func TestFoldersThatHideAWildcardAreReported(t *testing.T) {
	n, root, logged := newHost(t, sinktest.Files{dir + "/certs.wild.com/ca.crt": "theirs", dir + "/hosts.wild.com_5000_/hosts.toml": foreign, other: foreign})
	n = withRedirector(t, n)
	if err := os.Mkdir(filepath.Join(root, dir, "empty.wild.com"), 0o755); err != nil {
		t.Fatal(err)
	}
	offer(t, n, 0, "*.wild.com", "own.wild.com", "wild.com")
	for host, want := range map[string]bool{"certs.wild.com": true, "empty.wild.com": true, "hosts.wild.com:5000": false, "own.wild.com": false, "other.com": false, "_default": false} {
		if got := strings.Contains(logged.String(), "registry "+host+": "); got != want {
			t.Errorf("%s: reported %t\n%s", host, got, logged)
		}
	}
}

func TestFoldersThatHideAWildcardAreCountedWhereThereAreMany(t *testing.T) {
	have := sinktest.Files{other: foreign}
	for i := range mostHidden + 5 {
		have[fmt.Sprintf("%s/n%02d.wild.com/hosts.toml", dir, i)] = foreign
	}
	n, _, _ := newHost(t, have)
	n = withRedirector(t, n)
	offer(t, n, 0, "*.wild.com")
	if last := n.Findings[len(n.Findings)-1].Message; len(n.Findings) != mostHidden+1 || !strings.HasPrefix(last, "5 more folders in /"+dir+" hide source *.wild.com") {
		t.Errorf("%d findings, the last one is %q", len(n.Findings), last)
	}
}
