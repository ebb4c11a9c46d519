// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scrape serves an agent's metrics to those whom the API server lets read them. An agent is on its host's network,
// where no NetworkPolicy holds anybody off, and the redirector that a node pulls through is in the same process. So whoever
// else comes is answered with an error and nothing more, and costs little, however many they are.
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

// The bounds of those who come.
const (
	maxConnections = 32
	headerTimeout  = 5 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	drainTimeout   = 5 * time.Second
	maxHeader      = 16 << 10
)

// listenAgain is how soon an address that is taken is tried again.
const listenAgain = time.Second

// Server serves metrics.
type Server struct {
	address       string
	handler       http.Handler
	log           logr.Logger
	headerTimeout time.Duration
}

// New returns a server that asks an API server who wants the metrics, and whether they may have them.
func New(address string, metrics prometheus.Gatherer, api *rest.Config, log logr.Logger) (*Server, error) {
	guarded, err := Guard(api, log, welcome(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})))
	if err != nil {
		return nil, err
	}
	return &Server{address: address, log: log, headerTimeout: headerTimeout, handler: unwelcome(guarded)}, nil
}

// unwelcome has the connection of everybody closed who does not get through to [welcome], so that only those who may have the
// metrics keep one.
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

// Run serves until the context ends. An address that is taken, as by the agent that this one is to replace, is waited for.
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
		ErrorLog:          stdlog.New(io.Discard, "", 0), // of connections that were no requests
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
			_ = server.Close() // what is left of it ends with the process
		}
		return nil
	}
}

// selfSigned returns settings with a new certificate, which keeps others from listening in and proves nothing.
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
