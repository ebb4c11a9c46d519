// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// traffic is what reached the registries of one spec, in the order in which it came.
type traffic struct {
	mu          sync.Mutex
	connections []string // by registry name
	requests    []string
}

func (t *traffic) connected(registryName string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connections = append(t.connections, registryName)
}

func (t *traffic) requested(registryName string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests = append(t.requests, registryName)
}

// forget clears the record, after the images were pushed.
func (t *traffic) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connections, t.requests = nil, nil
}

// asked returns the registries that had requests, in the order of their first one.
func (t *traffic) asked() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	asked := []string{}
	for _, r := range t.requests {
		if !slices.Contains(asked, r) {
			asked = append(asked, r)
		}
	}
	return asked
}

// count returns how often one registry was connected to and asked. A connection without a request is an attempt at TLS.
func (t *traffic) count(registryName string) (connections, requests int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return occurrences(t.connections, registryName), occurrences(t.requests, registryName)
}

func occurrences(values []string, value string) int {
	n := 0
	for _, v := range values {
		if v == value {
			n++
		}
	}
	return n
}

// countedRegistry is a registry in this process, on the loopback address.
type countedRegistry struct {
	name    string
	host    string // as in image references
	server  *httptest.Server
	content http.Handler
	// failing makes it answer 503 to everything.
	failing bool
	// answer, where there is one, answers in its place unless it returns false.
	answer func(w http.ResponseWriter, r *http.Request) bool
	// down says that its server was closed.
	down bool
}

// startRegistry starts a registry that lives as long as the spec.
func startRegistry(registryName string, t *traffic) *countedRegistry {
	GinkgoHelper()
	return startRegistryAt(registryName, "127.0.0.1:0", t)
}

// startRegistryAt is [startRegistry] at an address, over plain HTTP.
func startRegistryAt(registryName, address string, t *traffic) *countedRegistry {
	GinkgoHelper()
	r := newRegistry(registryName, address, t)
	r.server.Start()
	r.host = r.server.Listener.Addr().String()
	return r
}

// startTLSRegistry starts one that is known by the name in a certificate, and asks for a client's certificate if there are
// authorities for such.
func startTLSRegistry(registryName, host string, certificate tls.Certificate, clients *x509.CertPool, t *traffic) *countedRegistry {
	GinkgoHelper()
	r := newRegistry(registryName, "127.0.0.1:0", t)
	r.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	if clients != nil {
		r.server.TLS.ClientAuth, r.server.TLS.ClientCAs = tls.RequireAndVerifyClientCert, clients
	}
	r.server.StartTLS()
	_, port, err := net.SplitHostPort(r.server.Listener.Addr().String())
	Expect(err).NotTo(HaveOccurred())
	r.host = net.JoinHostPort(host, port)
	return r
}

// listened are the addresses that registries had in this run. The node has their images, by name, and would not ask for one again.
var listened = map[string]bool{}

// listen listens at an address; where any port will do, at one that no registry had before.
func listen(address string) net.Listener {
	GinkgoHelper()
	for {
		listener, err := net.Listen("tcp", address)
		Expect(err).NotTo(HaveOccurred())
		if at := listener.Addr().String(); !listened[at] || !strings.HasSuffix(address, ":0") {
			listened[at] = true
			return listener
		}
		DeferCleanup(listener.Close) // held meanwhile, so that the next one is another
	}
}

// newRegistry returns one that is not started yet.
func newRegistry(registryName, address string, t *traffic) *countedRegistry {
	GinkgoHelper()
	listener := listen(address)
	quiet := log.New(io.Discard, "", 0)
	r := &countedRegistry{name: registryName, content: registry.New(registry.Logger(quiet))}
	r.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		t.requested(registryName)
		if r.failing {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.answer == nil || !r.answer(w, req) {
			r.content.ServeHTTP(w, req)
		}
	}))
	Expect(r.server.Listener.Close()).To(Succeed())
	r.server.Listener = listener
	r.server.Config.ErrorLog = quiet
	r.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			t.connected(registryName)
		}
	}
	DeferCleanup(r.close)
	return r
}

// reference is where an image is put.
type reference = name.Reference

// push puts the image at host/repository:1.
func (r *countedRegistry) push(ctx context.Context, repository string, image v1.Image) {
	GinkgoHelper()
	r.pushBy(ctx, repository, func(ref reference, options ...remote.Option) error { return remote.Write(ref, image, options...) })
}

// pushBy writes to host/repository:1, by a door of its own that nobody counts or guards.
func (r *countedRegistry) pushBy(ctx context.Context, repository string, write func(reference, ...remote.Option) error) {
	GinkgoHelper()
	door := httptest.NewServer(r.content)
	defer door.Close()
	ref, err := name.ParseReference(door.Listener.Addr().String()+"/"+repository+":1", name.Insecure)
	Expect(err).NotTo(HaveOccurred())
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	Expect(write(ref, remote.WithContext(ctx), remote.WithTransport(transport))).To(Succeed())
}

// stop closes the server, so that connections are refused.
func (r *countedRegistry) stop() {
	r.close()
	r.down = true
}

// close waits for nobody whom the registry keeps waiting.
func (r *countedRegistry) close() {
	r.server.CloseClientConnections()
	r.server.Close()
}

// report puts the counters into the test report.
func (t *traffic) report(registries []*countedRegistry) {
	lines := make([]string, 0, len(registries))
	for _, r := range registries {
		connections, requests := t.count(r.name)
		lines = append(lines, fmt.Sprintf("%s: %d requests on %d connections", r.name, requests, connections))
	}
	AddReportEntry("asked", strings.Join(lines, "; "), ReportEntryVisibilityAlways)
}
