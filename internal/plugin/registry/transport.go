// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// registryTransport is for what one registry is asked, one request after the other. It checks certificates, and speaks no plain HTTP, as the runtimes do but
// for insecure places.
type registryTransport struct {
	http.RoundTripper
	insecure bool
	close    func()

	mu        sync.Mutex
	failed    error // why HTTPS got no answer
	redirects int
}

func newTransport(insecure bool, roots *x509.CertPool) *registryTransport {
	t := remote.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: roots, InsecureSkipVerify: insecure} //nolint:gosec // the user says so with --insecure-registry
	return &registryTransport{RoundTripper: t, insecure: insecure, close: t.CloseIdleConnections}
}

// readRoots returns the certificates of the system with those of a file; nil without a file.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // which crypto/tls takes for the certificates of the system
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--ca-file %w", output.PrintablePath(err))
	}
	roots := systemRoots()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--ca-file %s: it has no certificate in PEM format", output.Printable(file))
	}
	return roots, nil
}

func systemRoots() *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return x509.NewCertPool() // a machine without any
	}
	return roots
}

// reset begins a new request.
func (t *registryTransport) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed, t.redirects = nil, 0
}

var (
	errPlainHTTP = errors.New("plain HTTP is used only for a mirror that a set marks as insecure, and for a registry in a scope of --insecure-registry")
	errCircle    = errors.New("more than 10 redirects")
)

// RoundTrip refuses plain HTTP, which the library tries with private addresses, and redirects without end, which it follows.
func (t *registryTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if !t.insecure && request.URL.Scheme != "https" {
		return nil, errPlainHTTP
	}
	response, err := t.RoundTripper.RoundTrip(request)
	if record := (tls.RecordHeaderError{}); errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/" {
		err = http.ErrSchemeMismatch
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.failed = fmt.Errorf("%s %q: %w", request.Method, request.URL, err)
		return nil, err
	}
	if response.StatusCode/100 == 3 {
		t.redirects++
	}
	if t.redirects > 10 {
		return nil, errors.Join(errCircle, response.Body.Close())
	}
	return response, nil
}

// reason returns why there is no answer: what was wrong with HTTPS, and not that something else was refused after that.
func (t *registryTransport) reason(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed != nil && errors.Is(err, errPlainHTTP) {
		err = t.failed
	}
	if !t.insecure && errors.Is(err, http.ErrSchemeMismatch) {
		return fmt.Errorf("%w; %w", err, errPlainHTTP)
	}
	return err
}
