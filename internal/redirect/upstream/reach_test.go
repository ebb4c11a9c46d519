// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

func TestARegistryMayLeadToNoAddressThatIsThisNodesOwn(t *testing.T) { // N11
	const elsewhere, here, link = "203.0.113.7", "127.0.0.1", "169.254.20.10"
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{elsewhere, "198.51.100.1", true}, {elsewhere, "10.0.0.1", true}, {elsewhere, "192.168.1.1", true}, {elsewhere, "fd12::1", true}, {here, "10.0.0.1", true},
		{elsewhere, here, false}, {elsewhere, "127.8.8.8", false}, {elsewhere, "::1", false}, {elsewhere, "::ffff:127.0.0.1", false}, {elsewhere, "0.0.0.0", false},
		{elsewhere, "::", false}, {elsewhere, "169.254.169.254", false}, {elsewhere, "::ffff:169.254.169.254", false}, {elsewhere, "fe80::1%eth0", false},
		{elsewhere, "100.100.100.200", false}, {elsewhere, "fd00:ec2::254", false}, {elsewhere, "168.63.129.16", false},
		{here, "127.0.0.2", true}, {here, "::1", true}, {here, "169.254.169.254", false}, {here, "0.0.0.0", false},
		{link, link, true}, {link, "169.254.169.254", false}, {link, here, false},
	} {
		if got := MayLead(netip.MustParseAddr(c.from), netip.MustParseAddr(c.to)); got != c.want {
			t.Errorf("from %s to %s: %t", c.from, c.to, got)
		}
	}
	if MayLead(netip.Addr{}, netip.MustParseAddr(here)) {
		t.Error("one whose address is not known may lead here")
	}
}

// TestANameIsJudgedByTheAddressThatItStandsFor has a registry lead to a server of this machine, which must not see it.
func TestANameIsJudgedByTheAddressThatItStandsFor(t *testing.T) {
	var connections atomic.Int32
	inner := start(t, func(http.ResponseWriter, *http.Request) { connections.Add(1) })
	_, port, err := net.SplitHostPort(inner)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := netip.MustParseAddr("203.0.113.7")
	for name, c := range map[string]struct {
		host  string
		at    *netip.Addr
		to    string
		proxy bool
		want  bool
	}{
		"from elsewhere, by a name":          {host: "r.example", at: &elsewhere, to: "localhost:" + port},
		"from elsewhere, by an address":      {host: "r.example", at: &elsewhere, to: inner},
		"before the registry was reached":    {host: "r.example", to: "localhost:" + port},
		"its own name, which stands for it":  {host: "LOCALHOST", to: "localhost:" + port, want: true},
		"its own name, which now stands for": {host: "localhost", at: &elsewhere, to: "localhost:" + port},
		"a proxy of the node's":              {host: "r.example", to: inner, proxy: true, want: true},
	} {
		r := &reach{host: strings.ToLower(c.host)}
		r.at.Store(c.at)
		ctx := t.Context()
		if c.proxy {
			ctx = context.WithValue(ctx, proxiedKey{}, true)
		}
		conn, err := r.dial(ctx, "tcp", c.to)
		if conn != nil {
			_ = conn.Close()
		}
		if (err == nil) != c.want || !c.want && !errors.Is(err, ErrAstray) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d requests came", n)
	}
}

func TestATokenServerMustNotBeThisNodesOwn(t *testing.T) {
	for _, realm := range []string{"http://169.254.169.254/latest/meta-data/iam", "http://0.0.0.0:1/token", "http://[fe80::1]/token"} {
		host := start(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`"`)
			w.WriteHeader(http.StatusUnauthorized)
		})
		if err := open(t, newPool(), plain(host, "x")); err == nil || !strings.Contains(err.Error(), "blocked prefix") {
			t.Errorf("%s: error %v", realm, err)
		}
	}
}

func TestATokenOfMonstrousSizeIsNone(t *testing.T) {
	host := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			_, _ = io.WriteString(w, `{"token":"`+strings.Repeat("t", 16<<20)+`"}`)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	if err := open(t, newPool(), plain(host, "x")); err == nil {
		t.Error("it is taken")
	}
}
