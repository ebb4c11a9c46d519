// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
		{elsewhere, "64:ff9b::a9fe:a9fe", false}, {elsewhere, "64:ff9b::7f00:1", false}, {elsewhere, "2002:a9fe:a9fe::1", false}, {elsewhere, "2002:7f00:1::1", false},
		{elsewhere, "64:ff9b::c633:6401", true}, {elsewhere, "2002:c633:6401::1", true}, {elsewhere, "64:ff9b:1::a9fe:a9fe", true}, {"64:ff9b::a9fe:140a", link, true},
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

// TestANameIsJudgedByTheAddressThatItStandsFor makes a registry lead to a server of this machine, which must not see the request.
func TestANameIsJudgedByTheAddressThatItStandsFor(t *testing.T) {
	var connections atomic.Int32
	inner := start(t, func(http.ResponseWriter, *http.Request) { connections.Add(1) })
	_, port, err := net.SplitHostPort(inner)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := netip.MustParseAddr("203.0.113.7")
	for name, c := range map[string]struct {
		host string
		at   netip.Addr
		to   string
		want bool
	}{
		"from elsewhere, by a name":          {host: "r.example", at: elsewhere, to: "localhost:" + port},
		"from elsewhere, by an address":      {host: "r.example", at: elsewhere, to: inner},
		"before the registry was reached":    {host: "r.example", to: "localhost:" + port},
		"its own name, which stands for it":  {host: "LOCALHOST", to: "localhost:" + port, want: true},
		"its own name, which now stands for": {host: "localhost", at: elsewhere, to: "localhost:" + port},
	} {
		r := &reach{host: strings.ToLower(c.host)}
		req, err := r.admit(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.to, nil), &attempt{at: c.at})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := r.dial(req.Context(), "tcp", c.to)
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

// claimed is a connection with a false remote address.
type claimed struct{ net.Conn }

func (claimed) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 443}
}

// TestARegistryIsJudgedByTheConnectionThatAnswered makes the name of a registry stand for this machine and for another place by turns.
func TestARegistryIsJudgedByTheConnectionThatAnswered(t *testing.T) {
	var asked atomic.Int32
	inner := start(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	waits, goesOn := make(chan struct{}), make(chan struct{})
	host := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // so that the next request looks for the registry again
		if strings.Contains(r.URL.Path, "/waits") {
			close(waits)
			<-goesOn
		}
		if strings.Contains(r.URL.Path, "/on") {
			http.Redirect(w, r, "http://"+inner, http.StatusTemporaryRedirect)
		}
	})
	p := newPool()
	at := plain(host, "x")
	transport := p.clients.to(place{host, true}, at.TLS).transport
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil && address == host && strings.HasPrefix(attemptOf(ctx).repository, "elsewhere") {
			return claimed{conn}, nil
		}
		return conn, err
	}
	ask := func(repository string) error { return open(t, p, plain(host, repository)) }

	first := make(chan error, 1)
	go func() { first <- ask("elsewhere/waits/on") }()
	<-waits
	if err := ask("here"); err != nil { // its answer comes before the other one's
		t.Errorf("the registry moved here: %v", err)
	}
	close(goesOn)
	if err := <-first; !errors.Is(err, ErrAstray) {
		t.Errorf("sent on from elsewhere: error %v", err)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests came from elsewhere", n)
	}
	if err := ask("here/on"); err != nil || asked.Load() != 1 {
		t.Errorf("sent on from here: error %v", err)
	}
	if err := ask("elsewhere/on"); err == nil || asked.Load() != 1 { // by the connection of the one before
		t.Errorf("sent on from elsewhere, once more: error %v, %d requests came", err, asked.Load())
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
