// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scrape serves an agent's metrics to the clients that may read them according to the API server. An agent is on its host's
// network, where no NetworkPolicy keeps clients away. The redirector that the node pulls through is in the same process. All other clients
// therefore get a bare error, and cost little, however many they are.
package scrape

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"
)

// These bound the connections and requests of clients.
const (
	maxConnections = 32
	headerTimeout  = 5 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	drainTimeout   = 5 * time.Second
	maxHeader      = 16 << 10
)

// listenAgain is how long to wait before another attempt to listen on an address that is in use.
const listenAgain = time.Second

// Server serves metrics.
type Server struct {
	address       string
	handler       http.Handler
	log           logr.Logger
	headerTimeout time.Duration
}

// New returns a server that uses an API server to authenticate and authorize the clients that request metrics.
func New(address string, metrics prometheus.Gatherer, api *rest.Config, log logr.Logger) (*Server, error) {
	guarded, err := Guard(api, log, welcome(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})))
	if err != nil {
		return nil, err
	}
	return &Server{address: address, log: log, headerTimeout: headerTimeout, handler: unwelcome(guarded)}, nil
}

// unwelcome closes the connection of every client that does not reach [welcome], so that only clients with access to the metrics keep a
// connection.
func unwelcome(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		if r.URL.Path != metricsPath || r.Method != http.MethodGet {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func welcome(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Del("Connection")
		next.ServeHTTP(w, r)
	})
}

// Run serves until the context ends. It waits for an address that is in use, for example by the agent that this one replaces.
func (s *Server) Run(ctx context.Context) {
	said := ""
	for ctx.Err() == nil {
		err := s.serve(ctx)
		if err == nil {
			return
		}
		if err.Error() != said {
			said = err.Error()
			s.log.Info("Not serving metrics yet", "cause", said)
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
}

// serve returns nil once the context has ended.
func (s *Server) serve(ctx context.Context) error {
	host, _, err := net.SplitHostPort(s.address)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	config, err := selfSigned(host)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: s.headerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          stdlog.New(io.Discard, "", 0), // about connections that sent no valid requests
	}
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(tls.NewListener(netutil.LimitListener(listener, maxConnections), config))
	}()
	s.log.Info("Serving metrics", "address", listener.Addr().String())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		if err := server.Shutdown(drain); err != nil {
			_ = server.Close() // anything left ends with the process
		}
		return nil
	}
}

// selfSigned returns settings with a new certificate, which prevents eavesdropping but proves no identity.
func selfSigned(host string) (*tls.Config, error) {
	certificate, key, err := cert.GenerateSelfSignedCertKey(host, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
}
