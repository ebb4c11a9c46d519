// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"

	"github.com/mirrorset/mirrorset/test/controlplane"
)

// proxy is between programs and the API server, and can simulate failures.
type proxy struct {
	server *httptest.Server
	pass   *httputil.ReverseProxy

	mu       sync.Mutex
	sickness sickness
	asked    int
	line     *line // of the connections that are made now
}

// sickness answers a request in the place of the API server, or has it passed on with other contents.
type sickness func(w http.ResponseWriter, r *http.Request) (answered bool)

// newProxy starts a proxy that is well, and returns what starts programs behind it.
func newProxy() (*proxy, *controlplane.ControlPlane) {
	GinkgoHelper()
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(plane.Config))
	Expect(err).NotTo(HaveOccurred())
	target, err := url.Parse("https://" + plane.Env.ControlPlane.GetAPIServer().HostPort())
	Expect(err).NotTo(HaveOccurred())
	quiet := log.New(io.Discard, "", 0)
	p := &proxy{line: &line{}, pass: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport, FlushInterval: -1, ErrorLog: quiet,
	}}
	p.server = httptest.NewUnstartedServer(p)
	p.server.Listener, p.server.EnableHTTP2, p.server.Config.ErrorLog = listener{p.server.Listener, p}, true, quiet
	p.server.StartTLS()
	DeferCleanup(func() {
		p.server.CloseClientConnections() // of programs that have ended
		p.server.Close()
	})
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	through, err := plane.Through(p.server.URL, authority)
	Expect(err).NotTo(HaveOccurred())
	return p, through
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked++
	sick := p.sickness
	p.mu.Unlock()
	if sick == nil || !sick(w, r) {
		p.pass.ServeHTTP(w, r)
	}
}

// fall has all connections end, and the proxy be sick from now on; nil for well. It returns how much it was asked before.
func (p *proxy) fall(s sickness) (asked int) {
	p.mu.Lock()
	p.sickness, asked = s, p.asked
	p.mu.Unlock()
	p.server.CloseClientConnections()
	return asked
}

// silence has nothing come through the connections that there are, as where something between has forgotten them. Others can be made.
func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	dead := p.line
	p.line = &line{}
	dead.mu.Lock()
	DeferCleanup(dead.mu.Unlock)
}

// line is what connections go along. While it is locked, nothing goes.
type line struct{ mu sync.RWMutex }

func (l *line) wait() {
	l.mu.RLock()
	defer l.mu.RUnlock()
}

type listener struct {
	net.Listener
	of *proxy
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	return connection{c, l.of.line}, err
}

type connection struct {
	net.Conn
	along *line
}

func (c connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.along.wait()
	return n, err
}

func (c connection) Write(b []byte) (int, error) {
	c.along.wait()
	return c.Conn.Write(b)
}
