// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/route"
)

// withRedirector has the node serve a port that nobody else has.
func withRedirector(t *testing.T, n *node) *node {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.settings.RedirectorPort = listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	n = newNode(n.host, n.log, n.settings)
	n.listen(t.Context())
	if n.failed != nil || n.listening == nil {
		t.Fatalf("listening %v, error %v", n.listening, n.failed)
	}
	t.Cleanup(func() {
		if err := n.closeRedirector(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// source asks a node's redirector for the source of an image by tag, and returns the status.
func source(t *testing.T, n *node, host, repository string) int {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get("http://" + n.server.Address() + route.RedirectorPath + "source/" + repository + "/manifests/1?ns=" + host)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestFilesLeadToARedirectorThatAnswersByTheSameRules(t *testing.T) {
	n, root, _ := newHost(t, files{other: foreign})
	n = withRedirector(t, n)
	offer(t, n, 0, "!shut.com/x", "open.com/x", "*.wild.com")
	got := tree(t, root)
	for name, want := range map[string]string{
		"shut.com/hosts.toml": "server = \"http://" + n.server.Address() + route.RedirectorPath + "source\"",
		"open.com/hosts.toml": "server = \"https://open.com\"",
		"_default/hosts.toml": "[host.\"http://" + n.server.Address() + route.RedirectorPath + "0\"]",
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s: got %s", name, got[name])
		}
	}
	if got := source(t, n, "shut.com", "x/y"); got != http.StatusForbidden {
		t.Errorf("blocked: got %d", got)
	}
	if got := source(t, n, "shut.com", "y"); got != http.StatusTemporaryRedirect {
		t.Errorf("open: got %d", got)
	}
	offer(t, n, 1)
	wantTree(t, root, files{"other.com/hosts.toml": foreign})
	if got := source(t, n, "shut.com", "x/y"); got != http.StatusTemporaryRedirect {
		t.Errorf("no longer blocked: got %d", got)
	}
}

func TestNoFileLeadsToAPortThatSomebodyElseHas(t *testing.T) {
	n, root, logged := newHost(t, files{other: foreign})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.settings.RedirectorPort = listener.Addr().(*net.TCPAddr).Port
	n = newNode(n.host, n.log, n.settings)
	n.listen(t.Context())
	offer(t, n, 0, "!shut.com/x", "open.com")
	if n.again == nil || !strings.Contains(n.again.Error(), "cannot listen") {
		t.Errorf("to be tried again: %v", n.again)
	}
	if status := n.outcome(nil).status(time.Now(), mirrorsetv1alpha1.MirrorNodeStatus{}, "containerd://2.4.2"); status.Revision != first || !slices.Equal(status.NotInForce, []string{"shut.com/x"}) {
		t.Errorf("the node says %+v", status)
	}
	wantTree(t, root, projected(t, "open.com"), files{"other.com/hosts.toml": foreign})
	if !strings.Contains(logged.String(), "contacts a source that must never be contacted") || !strings.Contains(logged.String(), "the redirector does not run") {
		t.Errorf("log %s", logged)
	}

	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	n.listen(t.Context())
	defer func() { _ = n.closeRedirector() }()
	if err := errors.Join(n.repair(), n.again); err != nil {
		t.Error(err)
	}
	closed := tree(t, root)["shut.com/hosts.toml"]
	if !certsd.Closes("shut.com", []byte(closed)) {
		t.Errorf("once the port is free: got %s", closed)
	}
	if err := errors.Join(n.closeRedirector()); err != nil {
		t.Fatal(err)
	}
	n.listening = nil
	offer(t, n, 1, "!shut.com/x", "!shut.com/y")
	if got := tree(t, root)["shut.com/hosts.toml"]; got != closed {
		t.Errorf("without a redirector again, a blocked registry's file became %s", got)
	}
}

func TestAWaitingAgentAnswersByWhatTheOtherAccepts(t *testing.T) {
	first, _, _ := newHost(t, files{other: foreign})
	unlock, err := first.host.Lock(t.Context(), lockPath)
	if err != nil {
		t.Fatal(err)
	}
	second := withRedirector(t, newNode(first.host, first.log, first.settings))
	waiting, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		release, err := second.lock(waiting)
		if err != nil {
			t.Error(err)
			return
		}
		if err := release(); err != nil {
			t.Error(err)
		}
	}()
	want := func(code int) {
		t.Helper()
		for range 200 {
			if source(t, second, "s.com", "x/y") == code {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("never got %d", code)
	}
	want(http.StatusServiceUnavailable) // what is blocked is not known yet
	first.keepOnly(t, 0, "!s.com/x")
	want(http.StatusForbidden)
	first.keepOnly(t, 1, "s.com/x")
	want(http.StatusTemporaryRedirect)
	first.keepOnly(t, 2, "!s.com/x")
	want(http.StatusForbidden)
	first.keepOnly(t, 3, "!s.com/x") // two at once: the second file has the number of the one before
	first.keepOnly(t, 4, "s.com/x")
	want(http.StatusTemporaryRedirect)
	first.keepOnly(t, 5, "!s.com/x")
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	<-ended
	stop()
	if second.accepted == nil || source(t, second, "s.com", "x/y") != http.StatusForbidden {
		t.Error("the last state is not taken over")
	}
}

// keepOnly has the state on the host say that these were accepted.
func (n *node) keepOnly(t *testing.T, revision int64, sources ...string) {
	t.Helper()
	if err := n.keep(payloadOf(t, revision, sources...)); err != nil {
		t.Error(err)
	}
}

func TestALostStateOpensNothing(t *testing.T) {
	first, root, _ := newHost(t, files{other: foreign})
	first = withRedirector(t, first)
	offer(t, first, 0, "!shut.com/x")
	before := tree(t, root)
	for _, damage := range []string{"{", ""} {
		write(t, root, statePath, damage)
		next := newNode(first.host, first.log, first.settings)
		next.restore()
		second := withRedirector(t, next)
		if got := source(t, second, "shut.com", "x/y"); got != http.StatusServiceUnavailable {
			t.Errorf("state %q: got %d", damage, got)
		}
		if err := second.repair(); err != nil {
			t.Error(err)
		}
		wantTree(t, root, before)
	}
}

func TestAFileThatClosesAHostStaysWhereAWildcardBlocksIt(t *testing.T) {
	n, root, logged := newHost(t, files{other: foreign})
	n.settings.AllowDefaultHost = true
	n = withRedirector(t, n)
	offer(t, n, 0, "!*.wild.com", "a1.wild.com/x")
	closed := tree(t, root)["a1.wild.com/hosts.toml"]
	if !certsd.Closes("a1.wild.com", []byte(closed)) {
		t.Fatalf("got %s", closed)
	}
	write(t, root, certsDir+"/a1.wild.com/ca.crt", "theirs")
	if err := n.repair(); err != nil {
		t.Error(err)
	}
	if got := tree(t, root)["a1.wild.com/hosts.toml"]; got != closed || !strings.Contains(logged.String(), "what was in force before stays") {
		t.Errorf("got %q, log %s", got, logged)
	}
}

func TestAFileThatClosesARegistryStaysUntilAnotherOneDoes(t *testing.T) {
	const host, wildcard = "!a1.wild.com/x", "!*.wild.com"
	for _, c := range []struct{ name, before, after, closed, next string }{
		{"a wildcard behind a registry", host, wildcard, "a1.wild.com", certsd.DefaultHost},
		{"a registry behind a wildcard", wildcard, host, certsd.DefaultHost, "a1.wild.com"},
	} {
		for way, hinder := range map[string]func(n *node, root string) (mend func()){
			"what cannot be written": func(_ *node, root string) func() {
				obstacle := certsDir + "/." + c.next + ".mirrorset-tmp/theirs"
				write(t, root, obstacle, "theirs")
				return func() { _ = os.RemoveAll(filepath.Dir(filepath.Join(root, obstacle))) }
			},
			"what needs the redirector": func(n *node, _ string) func() {
				listening := n.listening
				n.listening = nil
				return func() { n.listening = listening }
			},
		} {
			n, root, _ := newHost(t, files{other: foreign})
			n.settings.AllowDefaultHost = true
			n = withRedirector(t, n)
			offer(t, n, 0, c.before, "open.com")
			closed := tree(t, root)[c.closed+"/hosts.toml"]
			mend := hinder(n, root)
			offer(t, n, 1, c.after)
			if n.again == nil && n.listening != nil {
				t.Errorf("%s, %s: nothing is to be tried again", c.name, way)
			}
			got := tree(t, root)
			if closed == "" || got[c.closed+"/hosts.toml"] != closed || got["open.com/hosts.toml"] != "" {
				t.Errorf("%s, %s: got %q", c.name, way, got)
			}
			mend()
			if err := errors.Join(n.repair(), n.again); err != nil {
				t.Error(err)
			}
			if got := tree(t, root); !certsd.Closes(c.next, []byte(got[c.next+"/hosts.toml"])) || got[c.closed+"/hosts.toml"] != "" {
				t.Errorf("%s, %s: then %q", c.name, way, got)
			}
		}
	}
}

func TestAFileThatClosesARegistryGoesWhereNothingBlocksItAnyMore(t *testing.T) {
	n, root, _ := newHost(t, files{certsDir + "/" + certsd.DefaultHost + "/hosts.toml": foreign})
	n.settings.AllowDefaultHost = true
	n = withRedirector(t, n)
	offer(t, n, 0, "!a1.wild.com", "!b1.else.com")
	offer(t, n, 1, "!*.wild.com")
	if got := tree(t, root); got["a1.wild.com/hosts.toml"] == "" || got["b1.else.com/hosts.toml"] != "" {
		t.Errorf("a default host of somebody else: got %q", got)
	}
	offer(t, n, 2)
	if got := tree(t, root); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

func TestWhatIsNoFolderIsNotWaitedFor(t *testing.T) {
	n, root, logged := newHost(t, files{other: foreign})
	for _, name := range []string{certsDir + "/s.com", certsDir + "/t.com:5000", ownTLSDir + "/mirror.local:5000"} {
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
	if _, err := os.Stat(filepath.Join(root, certsDir, "u.com/hosts.toml")); err != nil || !strings.Contains(logged.String(), "s.com is not a folder of ours") {
		t.Errorf("error %v, log %s", err, logged)
	}
}

func TestFoldersThatHideAWildcardAreReported(t *testing.T) {
	n, root, logged := newHost(t, files{certsDir + "/certs.wild.com/ca.crt": "theirs", certsDir + "/hosts.wild.com_5000_/hosts.toml": foreign, other: foreign})
	n = withRedirector(t, n)
	if err := os.Mkdir(filepath.Join(root, certsDir, "empty.wild.com"), 0o755); err != nil {
		t.Fatal(err)
	}
	offer(t, n, 0, "*.wild.com", "own.wild.com", "wild.com")
	for host, want := range map[string]bool{"certs.wild.com": true, "empty.wild.com": true, "hosts.wild.com:5000": false, "own.wild.com": false, "other.com": false, "_default": false} {
		if got := strings.Contains(logged.String(), "registry "+host+": "); got != want {
			t.Errorf("%s: reported %t\n%s", host, got, logged)
		}
	}
}

// certificate returns a new certificate and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

func TestTLSSettingsAreReadWhereCRIOLooksForThem(t *testing.T) {
	cert, key := certificate(t)
	const folder = ownTLSDir + "/m.com:5000/"
	for _, c := range []struct {
		name    string
		files   files
		clients int
		roots   bool
		want    string
	}{
		{"nothing", nil, 0, false, ""},
		{"another registry", files{ownTLSDir + "/m.com/ca.crt": cert}, 0, false, ""},
		{"only a key", files{folder + "x.key": key}, 0, false, ""},
		{"an authority", files{folder + "ca.crt": cert}, 0, true, ""},
		{"a client certificate", files{folder + "x.cert": cert, folder + "x.key": key}, 1, false, ""},
		{"a client certificate with the key in it", files{folder + "x.cert": cert + key}, 1, false, ""},
		{"all", files{folder + "ca.crt": cert, folder + "x.cert": cert, folder + "x.key": key, folder + "y.cert": cert + key}, 2, true, ""},
		{"no certificate", files{folder + "ca.crt": "?"}, 0, false, "has no certificate"},
		{"another key", files{folder + "x.cert": cert, folder + "x.key": func() string { _, other := certificate(t); return other }()}, 0, false, "private key does not match"},
	} {
		n, _, _ := newHost(t, c.files)
		config, err := n.ownTLS("m.com:5000")
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v", c.name, err)
			}
			continue
		}
		if err != nil || (config != nil) != (c.clients > 0 || c.roots) || n.hasOwnTLS("m.com:5000") != (config != nil) {
			t.Errorf("%s: got %v, error %v", c.name, config, err)
			continue
		}
		if config != nil && (len(config.Certificates) != c.clients || (config.RootCAs != nil) != c.roots) {
			t.Errorf("%s: got %d clients, roots %v", c.name, len(config.Certificates), config.RootCAs)
		}
	}
	n, root, _ := newHost(t, files{"etc/pki/corp.pem": cert})
	symlink(t, "/etc/pki/corp.pem", root, folder+"ca.crt")
	if config, err := n.ownTLS("m.com:5000"); err != nil || config == nil {
		t.Errorf("through a link: got %v, error %v", config, err)
	}
}

func TestRootsProcessesAreFoundByTheirName(t *testing.T) {
	status := func(name, uid string) *fstest.MapFile {
		return &fstest.MapFile{Data: fmt.Appendf(nil, "Name:\t%s\nUmask:\t0022\nUid:\t%s\nGid:\t0\t0\t0\t0\n", name, uid)}
	}
	proc := fstest.MapFS{
		"1/status":   status("systemd", "0\t0\t0\t0"),
		"20/status":  status("crio", "0\t0\t0\t0"),
		"30/status":  status("crio", "1000\t0\t0\t0"),
		"40/status":  status("crio-helper", "0\t0\t0\t0"),
		"50/comm":    status("crio", "0\t0\t0\t0"),
		"net/status": status("crio", "0\t0\t0\t0"),
	}
	pids, err := processes(proc, crioName)
	if err != nil || len(pids) != 1 || pids[0] != 20 {
		t.Errorf("got %d, error %v", pids, err)
	}
}
