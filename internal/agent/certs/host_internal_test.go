// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
)

const (
	other    = dir + "/other.com/hosts.toml"
	foreign  = "server = \"https://theirs.example\"\n"
	ourFirst = dir + "/old.com/hosts.toml"
)

// host is one with its sink, and what became of the rules that were applied last.
type host struct {
	*Sink
	sink.Outcome
	rules  *sink.Accepted
	logged *strings.Builder
}

// newHost returns a host with these files, its root directory, and what is logged and found.
func newHost(t *testing.T, have sinktest.Files) (n *host, root string, logged *strings.Builder) {
	t.Helper()
	files, root := sinktest.NewHost(t, have)
	log, logged := sinktest.Log()
	return &host{Sink: newSink(sinktest.Env(files, log), settings{dir: "/etc/containerd/certs.d", config: "/etc/containerd/config.toml"}), logged: logged}, root, logged
}

// withPort returns the host with another sink, whose redirector is at this port.
func (n *host) withPort(port int) *host {
	n.settings.redirectorPort = port
	return &host{Sink: newSink(sinktest.Env(n.env.Host, n.env.Log), n.settings), logged: n.logged}
}

// withRedirector has the redirector serve a port that nobody else has.
func withRedirector(t *testing.T, n *host) *host {
	t.Helper()
	n = n.withPort(sinktest.FreePort(t))
	n.Serve(t.Context())
	if n.failed != nil || n.listening == nil {
		t.Fatalf("listening %v, error %v", n.listening, n.failed)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// offer applies rules for sources.
func offer(t *testing.T, n *host, revision int64, sources ...string) {
	t.Helper()
	n.rules = sinktest.Accepted(t, revision, sources...)
	n.Follow(n.rules)
	if err := n.repair(); err != nil {
		t.Fatal(err)
	}
}

// repair applies the rules anew.
func (n *host) repair() error {
	apply, err := n.Try(n.rules)
	if err != nil {
		return err
	}
	n.Outcome = apply()
	for _, f := range n.Findings {
		n.logged.WriteString(string(f.Reason) + " " + f.Message + "\n")
	}
	return n.Err
}

// took returns a host with a rule for old.com.
func took(t *testing.T, have sinktest.Files) (n *host, root string, logged *strings.Builder) {
	t.Helper()
	n, root, logged = newHost(t, have)
	offer(t, n, 0, "old.com")
	return n, root, logged
}

// notInForce are the sources that the findings are about.
func (n *host) notInForce() (sources []string) {
	for _, f := range n.Findings {
		sources = append(sources, f.Sources...)
	}
	return sources
}
