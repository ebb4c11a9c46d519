// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// registryTransport is for one question to one registry. It checks certificates, and speaks no plain HTTP, as the runtimes do but
// for insecure places.
type registryTransport struct {
	http.RoundTripper
	insecure bool

	mu        sync.Mutex
	failed    error // why HTTPS got no answer
	redirects int
}

func newTransport(insecure bool) *registryTransport {
	t := remote.DefaultTransport.(*http.Transport).Clone()
	if insecure {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the user says so with --insecure-registry
	}
	return &registryTransport{RoundTripper: t, insecure: insecure}
}

var (
	errPlainHTTP = errors.New("plain HTTP is for --insecure-registry only")
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
