// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"net"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/route"
)

func TestThePullsOfAHostAreTheRedirectors(t *testing.T) {
	n, _, _ := newHost(t, sinktest.Files{other: foreign})
	n = withRedirector(t, n)
	offer(t, n, 0, "!shut.com/x")
	if got := sinktest.Ask(t, "http://"+n.server.Address()+n.keys.open()[0].Path("shut.com", route.Source), "shut.com", "x/y"); got != 403 {
		t.Fatalf("got %d", got)
	}
	log, err := n.AccessLog()
	if err != nil {
		t.Fatal(err)
	}
	if pulls := log.Pulls(); len(pulls) != 1 || !strings.HasPrefix(pulls[0].Image, "shut.com/x/y") || pulls[0].Refusal == "" {
		t.Errorf("%+v", pulls)
	}
}

func TestAHostWhosePullsTheRedirectorCannotSeeSaysWhyInPlaceOfThem(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := taken.Addr().(*net.TCPAddr).Port
	for _, tt := range []struct {
		name, want string
		have       sinktest.Files
		port       int
		runtime    nodecheck.Runtime
	}{
		{"CRI-O", "the kubelet uses CRI-O", sinktest.Files{other: foreign}, sinktest.FreePort(t), nodecheck.CRIO},
		{"no containerd", "/etc/containerd/certs.d does not exist", nil, sinktest.FreePort(t), nodecheck.Containerd},
		{"a port that is taken", "the redirector does not serve: ", sinktest.Files{other: foreign}, port, nodecheck.Containerd},
		{"containerd", "", sinktest.Files{other: foreign}, sinktest.FreePort(t), nodecheck.Containerd},
		{"not known yet", "", sinktest.Files{other: foreign}, sinktest.FreePort(t), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, _, _ := newHost(t, tt.have)
			n = n.withPort(tt.port)
			n.env.Runtime = func() nodecheck.Runtime { return tt.runtime }
			n.Serve(t.Context())
			defer func() { _ = n.Close() }()
			log, err := n.AccessLog()
			if tt.want == "" && (err != nil || log == nil) || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
