// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/grants"
)

func TestAWrongPasswordIsSentOnceThoughOneSourceHasTheRegistryInsecure(t *testing.T) {
	var sent atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			sent.Add(1)
		}
		w.Header().Set("WWW-Authenticate", "Basic")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	insecure := plain(strings.TrimPrefix(server.URL, "https://"), "x")
	insecure.Login = grants.Login{Username: "ann", Password: "p"}
	insecure.TLS = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}
	secure := insecure
	secure.Target.Insecure, secure.TLS = false, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	p := newPool()
	for range 5 {
		for _, r := range []Request{insecure, secure} {
			var refused *Refused
			if err := open(t, p, r); !errors.As(err, &refused) {
				t.Fatalf("error %v", err)
			}
		}
	}
	if n := sent.Load(); n != 2 {
		t.Errorf("a wrong password was sent %d times, want once for each of the two ways", n)
	}
}

func TestAConnectionThatNobodyAnswersIsGivenUpOnceTheRequestIsOver(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	p := newPool()
	p.clients.connecting = 50 * time.Millisecond
	r := plain(listener.Addr().String(), "x")
	r.Target.Insecure, r.Patience = false, 20*time.Millisecond
	if err := open(t, p, r); !errors.Is(err, ErrSilent) {
		t.Errorf("error %v", err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = accepted.Close() }()
	if err := accepted.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, accepted); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays")
	}
}

func TestAConnectionThatNobodyTakesIsGivenUp(t *testing.T) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(socket) })
	if err := errors.Join(syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(socket, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	at := net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}
	for { // until nobody is let in any more
		waiting, err := net.DialTimeout("tcp", at.String(), 200*time.Millisecond)
		if err != nil {
			break
		}
		t.Cleanup(func() { _ = waiting.Close() })
	}
	p := newPool()
	p.clients.connecting = 50 * time.Millisecond
	r := plain(at.String(), "x")
	r.Target.Insecure = false
	if err := open(t, p, r); err == nil || errors.Is(err, ErrSilent) || !strings.Contains(err.Error(), "i/o timeout") {
		t.Errorf("error %v", err)
	}
}
