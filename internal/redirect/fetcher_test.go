// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// fetcher sends requests as containerd does: to one entry after the other. If it is redirected and the place requires credentials, it repeats the
// entry with them.
type fetcher struct {
	redirector string
	client     *http.Client
}

func newFetcher(server *httptest.Server) *fetcher {
	return &fetcher{server.URL, &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// once requests an entry, and the place that it leads to. It returns the last status, or 0 if there was no answer.
func (f *fetcher) once(method, url string, withCredentials bool) (status int) {
	for range 2 {
		req, err := http.NewRequest(method, url, nil)
		if err != nil {
			return 0
		}
		if withCredentials && strings.HasPrefix(url, "https:") {
			req.SetBasicAuth("ann", "secret1")
		}
		resp, err := f.client.Do(req)
		if err != nil {
			return 0
		}
		_, _ = io.Copy(io.Discard, resp.Body) // the status says it
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusTemporaryRedirect {
			return resp.StatusCode
		}
		url = resp.Header.Get("Location")
	}
	return 0
}

// walk requests the entries of three ranks and of the source.
func (f *fetcher) walk(method, repository, kind, object string) {
	for _, entry := range []string{"0", "1", "2", "source"} {
		url := f.redirector + strings.Replace(pathTo(entry, "s.com", repository, object), manifests, kind, 1)
		status := f.once(method, url, false)
		if status == http.StatusUnauthorized {
			status = f.once(method, url, true)
		}
		if status == http.StatusOK || status == http.StatusForbidden {
			return
		}
	}
}

// pull resolves a tag, and fetches a manifest and two layers in parallel.
func (f *fetcher) pull(repository string) {
	f.walk(http.MethodHead, repository, manifests, "1")
	f.walk(http.MethodGet, repository, manifests, manifestDigest)
	var layers sync.WaitGroup
	for _, layer := range []string{otherDigest, manifestDigest} {
		layers.Go(func() { f.walk(http.MethodGet, repository, blobs, layer) })
	}
	layers.Wait()
}

// journal counts the requests that registries answered to clients other than the redirector.
type journal struct {
	mu      sync.Mutex
	entries map[string]int
	bytes   int64
}

// writes makes a registry record the requests that it finally answers, and not those that a client repeats with credentials.
func (j *journal) writes(name string, streamed bool, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		recorded := httptest.NewRecorder()
		answer(recorded, r)
		maps.Copy(w.Header(), recorded.Header())
		w.WriteHeader(recorded.Code)
		n, _ := w.Write(recorded.Body.Bytes())
		if (r.UserAgent() == serverName) == streamed && (recorded.Code != http.StatusUnauthorized || r.Header.Get("Authorization") != "") {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.entries[fmt.Sprint(name, " ", recorded.Code)]++
			if r.Method == http.MethodGet && streamed {
				j.bytes += int64(n)
			}
		}
	}
}
