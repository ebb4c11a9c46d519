// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sinktest has hosts and rules for the tests of the agent and of its sinks.
package sinktest

import (
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/internal/route"
)

// First is the revision that others count from.
const First = 1_800_000_000_000

// Files are the content of files by their path below a folder. An empty folder has a slash at the end, and no content.
type Files map[string]string

// NewHost returns a host with these files, and its root directory.
func NewHost(t testing.TB, have Files) (host *hostfile.Host, root string) {
	t.Helper()
	root = t.TempDir()
	for name, content := range have {
		Write(t, root, name, content)
	}
	host, err := hostfile.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	return host, root
}

// Log returns a log and what is written to it.
func Log() (logr.Logger, *strings.Builder) {
	logged := &strings.Builder{}
	return funcr.New(func(_, args string) { logged.WriteString(args + "\n") }, funcr.Options{}), logged
}

// Env is for a sink of a host whose runtime is not known.
func Env(host *hostfile.Host, log logr.Logger) sink.Env {
	return sink.Env{
		Host: host, Log: log, Runtime: func() nodecheck.Runtime { return "" }, Wake: func() {},
		Repairs: prometheus.NewCounterVec(prometheus.CounterOpts{}, []string{"file"}), Metrics: prometheus.NewRegistry(),
	}
}

// Write writes a file, and makes the folders above it.
func Write(t testing.TB, root, name, content string) {
	t.Helper()
	name = filepath.Join(root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// Symlink makes a link, and the folders above it.
func Symlink(t testing.TB, target, root, name string) {
	t.Helper()
	name = filepath.Join(root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.Symlink(target, name)); err != nil {
		t.Fatal(err)
	}
}

// Text renders one rule per source, with one mirror each; a "!" before a source blocks it.
func Text(t testing.TB, sources ...string) []byte {
	t.Helper()
	set := mirrors.Set{Object: mirrors.Object{Kind: &mirrors.Kind{Mode: mirrors.ByDigest}, Name: "test"}}
	for _, source := range sources {
		source, blocked := strings.CutPrefix(source, "!")
		entry := mirrors.SetEntry{Source: source, Mirrors: []string{"mirror.local:5000/x"}}
		if blocked {
			entry.Policy = mirrors.NeverContactSource
		}
		set.Entries = append(set.Entries, entry)
	}
	insecure, err := mirrors.ParseScopes([]string{"insecure.com"})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := registriesconf.Encode(mirrors.Merge(mirrors.Input{Sets: []mirrors.Set{set}, Insecure: insecure}).Rules)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// Payload has the rules of [Text], in a revision counted from [First].
func Payload(t testing.TB, revision int64, sources ...string) payload.Payload {
	t.Helper()
	return payload.New(First+revision, Text(t, sources...))
}

// Accepted is [Payload] with its rules.
func Accepted(t testing.TB, revision int64, sources ...string) *sink.Accepted {
	t.Helper()
	p := Payload(t, revision, sources...)
	rules, err := registriesconf.Decode(p.Text)
	if err != nil {
		t.Fatal(err)
	}
	return &sink.Accepted{Payload: p, Rules: rules}
}

// Projected is the tree that the rules of [Text] make for containerd where there is no redirector.
func Projected(t testing.TB, sources ...string) Files {
	t.Helper()
	want := make(Files)
	for _, f := range certsd.Project(Accepted(t, 0, sources...).Rules, certsd.Node{}).Files {
		want[f.Path] = string(f.Content)
	}
	return want
}

// Tree returns the files in a folder.
func Tree(t testing.TB, folder string) Files {
	t.Helper()
	found := make(Files)
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if entry.IsDir() {
			found[name+"/"] = ""
			return nil
		}
		content, err := os.ReadFile(filepath.Join(folder, name))
		found[name] = string(content)
		delete(found, path.Dir(name)+"/")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// WantTree wants these files in a folder, and no others.
func WantTree(t testing.TB, folder string, want ...Files) {
	t.Helper()
	all := make(Files)
	for _, w := range want {
		maps.Copy(all, w)
	}
	got := Tree(t, folder)
	for name, content := range all {
		if got[name] != content {
			t.Errorf("%s is %q, want %q", name, got[name], content)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("there is more: %q", got)
	}
}

// FreePort returns a port of the loopback address that nobody has.
func FreePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().(*net.TCPAddr).Port
}

// sourcePath finds the redirector's entry for the source in a file of ours.
var sourcePath = regexp.MustCompile(regexp.QuoteMeta(route.RedirectorPath) + `[0-9a-f]*/?` + string(route.Source))

// AskSource requests the source of an image by tag from the redirector at a port, and returns the status. It uses the path in the registry's
// hosts.toml below the host's root, or, without that file, a path without an element.
func AskSource(t testing.TB, root string, port int, host, repository string) int {
	t.Helper()
	at := route.Key("").Path(host, route.Source)
	if content, err := os.ReadFile(filepath.Join(root, "etc/containerd/certs.d", host, "hosts.toml")); err == nil {
		at = sourcePath.FindString(string(content))
	}
	return Ask(t, "http://127.0.0.1:"+strconv.Itoa(port)+at, host, repository)
}

// Ask asks the redirector's entry at a URL for an image by tag, and returns the status.
func Ask(t testing.TB, entry, host, repository string) int {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(entry + "/" + repository + "/manifests/1?ns=" + host)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
