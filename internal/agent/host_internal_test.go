// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorset/mirrorset/internal/agent/runtimes"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
)

const (
	etc      = "etc/containers/registries.conf.d/"
	certsDir = "etc/containerd/certs.d"
	other    = certsDir + "/other.com/hosts.toml"
	foreign  = "server = \"https://theirs.example\"\n"
	ourFirst = certsDir + "/old.com/hosts.toml"
)

// host is one with an agent that has all sinks.
type host struct {
	*node
	metrics *prometheus.Registry
	port    int // of the redirector, which does not serve yet
}

// newHost returns a host with these files, its root directory, and what is logged. The flags are those of the sinks.
func newHost(t testing.TB, have sinktest.Files, flags ...string) (n *host, root string, logged *strings.Builder) {
	t.Helper()
	files, root := sinktest.NewHost(t, have)
	log, logged := sinktest.Log()
	n = &host{node: &node{state: &state{host: files}, log: log}}
	return n.successor(t, flags...), root, logged
}

// successor returns another agent of the host.
func (n *host) successor(t testing.TB, flags ...string) *host {
	t.Helper()
	next := &host{metrics: prometheus.NewRegistry(), port: sinktest.FreePort(t)}
	next.node = newNode(n.state.host, n.log, open(t, append(flags, "--redirector-port="+strconv.Itoa(next.port))...), next.metrics)
	t.Cleanup(func() {
		if err := next.sinks.close(); err != nil {
			t.Error(err)
		}
	})
	return next
}

func open(t testing.TB, args ...string) []sink.Open {
	t.Helper()
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	sinks := runtimes.Flags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return sinks
}

// wantDropIn checks our drop-in, where nil stands for no file.
func wantDropIn(t *testing.T, root string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(root, onhost.Path))
	if errors.Is(err, fs.ErrNotExist) && want == nil {
		return
	}
	if err != nil || string(got) != string(want) {
		t.Errorf("the drop-in is %q (error %v), want %q", got, err, want)
	}
}

// offer has a node take sources, in a revision of their own.
func offer(t *testing.T, n *host, revision int64, sources ...string) {
	t.Helper()
	if taken, err := n.take(sinktest.Payload(t, revision, sources...)); err != nil || !taken {
		t.Fatalf("taken = %t, error %v", taken, err)
	}
}

// table is a registry table of others.
func table(prefix, rest string) string {
	return "[[registry]]\nprefix = \"" + prefix + "\"\nlocation = \"" + prefix + "\"\n" + rest + "\n"
}

func blocks(prefix string) string {
	return table(prefix, "blocked = true")
}
