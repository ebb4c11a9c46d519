// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// recorder stands for every registry there is: one server on an address that the node finds all of their names at. It
// records what it is asked, and has no image but those that it is given.
type recorder struct {
	address string
	server  *http.Server

	mu       sync.Mutex
	requests []request
	images   map[string]v1.Image                                      // by place
	faults   map[string]func(http.ResponseWriter, *http.Request) bool // by place, of those that answer otherwise
	insecure []string                                                 // scopes
}

// request is what reached a registry.
type request struct {
	method, scheme string
	// place is host/repository, and object what is asked for there, of a kind.
	place, kind, object string
	// authorization is the scheme of that header.
	authorization string
}

func (r request) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s://%s %s %s %s", r.method, r.scheme, r.place, r.kind, r.object, r.authorization))
}

// freeRecorder returns one at an address where none of the ports is taken, as by another run of these specs.
func freeRecorder(ports []string) (*recorder, []net.Listener, error) {
	var last error
	for i := range 100 {
		address := fmt.Sprintf("127.31.%d.1", i)
		var listeners []net.Listener
		last = nil
		for _, port := range ports {
			listener, err := net.Listen("tcp", net.JoinHostPort(address, port))
			if last = err; err != nil {
				break
			}
			listeners = append(listeners, listener)
		}
		if last == nil {
			return &recorder{address: address}, listeners, nil
		}
		for _, listener := range listeners {
			_ = listener.Close() // nothing came of it
		}
	}
	return nil, nil, last
}

// start serves TLS and plain HTTP on each of the listeners, as the client begins. An insecure registry has no TLS, or, at port
// 8443, a certificate that nobody can trust.
func (r *recorder) start(listeners []net.Listener, certificate tls.Certificate) {
	other := httptest.NewTLSServer(nil)
	other.Close() // its certificate is all that is wanted
	config := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		switch host := registryHost(hello.ServerName, hello.Conn); {
		case !r.isInsecure(host):
			return &certificate, nil
		case strings.HasSuffix(host, ":8443"):
			return &other.TLS.Certificates[0], nil
		}
		return nil, errors.New("this registry has no TLS")
	}}
	r.server = &http.Server{Handler: r, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	for _, listener := range listeners {
		go func() { _ = r.server.Serve(newEitherListener(listener, config)) }() // until it is closed
	}
}

func (r *recorder) stop(ctx context.Context) error { return r.server.Shutdown(ctx) }

// registryHost returns a registry by its name and the port that it was found at.
func registryHost(name string, conn net.Conn) string {
	_, port, err := net.SplitHostPort(conn.LocalAddr().String())
	if err != nil || port == "443" || port == "80" {
		return name
	}
	return name + ":" + port
}

// isInsecure reports whether a scope takes the whole registry; one that it takes a part of is as good as any other.
func (r *recorder) isInsecure(host string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.insecure, func(scope string) bool {
		domain, isWildcard := strings.CutPrefix(scope, "*")
		return host == scope || isWildcard && strings.HasSuffix(host, domain)
	})
}

// begin forgets what was asked, and has the image at these places and no other.
func (r *recorder) begin(insecure []string, image v1.Image, places ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests, r.insecure, r.images, r.faults = nil, insecure, make(map[string]v1.Image), nil
	for _, place := range places {
		r.images[dialed(place)] = image
	}
}

// dialed returns a place by the name that its registry is connected to.
func dialed(place string) string {
	if rest, ok := strings.CutPrefix(place, "docker.io/"); ok {
		return "registry-1.docker.io/" + rest
	}
	return place
}

// asked returns the requests so far.
func (r *recorder) asked() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

var objectPattern = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs)/([^/]+)$`)

// ServeHTTP answers as a registry does that needs no credentials.
func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	asked := request{method: req.Method, scheme: "http", place: req.Host + req.URL.Path}
	if req.TLS != nil {
		asked.scheme = "https"
	}
	asked.authorization, _, _ = strings.Cut(req.Header.Get("Authorization"), " ")
	if parts := objectPattern.FindStringSubmatch(req.URL.Path); parts != nil {
		asked.place, asked.kind, asked.object = req.Host+"/"+parts[1], parts[2], parts[3]
	}
	r.mu.Lock()
	r.requests = append(r.requests, asked)
	image, fault := r.images[asked.place], r.faults[asked.place]
	r.mu.Unlock()
	if fault != nil && fault(w, req) {
		return
	}
	if req.URL.Path == "/v2/" { // who asks whether this is a registry at all, as Podman does
		return
	}
	content, mediaType := find(image, asked)
	if content == nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no registry of the shared cases has it"}]}`)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	if asked.kind == "manifests" {
		digest, _ := image.Digest() // it is in memory
		w.Header().Set("Docker-Content-Digest", digest.String())
	}
	_, _ = w.Write(content) // who asked may have gone
}

// find returns a part of an image; nil where it has no such part.
func find(image v1.Image, asked request) (content []byte, mediaType string) {
	if image == nil {
		return nil, ""
	}
	manifest, _ := image.RawManifest() // all of it is in memory
	digest, _ := image.Digest()
	if asked.kind == "manifests" {
		if asked.object != digest.String() && strings.Contains(asked.object, ":") {
			return nil, ""
		}
		mediaType, _ := image.MediaType()
		return manifest, string(mediaType)
	}
	hash, err := v1.NewHash(asked.object)
	if err != nil {
		return nil, ""
	}
	if config, err := image.ConfigName(); err == nil && config == hash {
		content, _ = image.RawConfigFile()
	} else if layer, err := image.LayerByDigest(hash); err == nil {
		if compressed, err := layer.Compressed(); err == nil {
			content, _ = io.ReadAll(compressed)
		}
	}
	return content, "application/octet-stream"
}

// eitherListener gives out connections with TLS and such without.
type eitherListener struct {
	net.Listener
	config *tls.Config
	conns  chan net.Conn
	closed chan struct{}
}

func newEitherListener(listener net.Listener, config *tls.Config) *eitherListener {
	l := &eitherListener{Listener: listener, config: config, conns: make(chan net.Conn), closed: make(chan struct{})}
	go func() {
		defer close(l.closed)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go l.look(conn)
		}
	}()
	return l
}

// look waits for the first byte, which is 22 where TLS begins.
func (l *eitherListener) look(conn net.Conn) {
	begun := bufio.NewReader(conn)
	first, err := begun.Peek(1)
	if err != nil {
		_ = conn.Close() // it was closed by the client
		return
	}
	conn = begunConn{conn, begun}
	if first[0] == 22 {
		conn = tls.Server(conn, l.config)
	}
	select {
	case l.conns <- conn:
	case <-l.closed:
		_ = conn.Close() // nobody wants it any more
	}
}

// Accept returns the next connection on which something was sent.
func (l *eitherListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// begunConn has its first bytes in a buffer.
type begunConn struct {
	net.Conn
	begun io.Reader
}

func (c begunConn) Read(p []byte) (int, error) { return c.begun.Read(p) }
