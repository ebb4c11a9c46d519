// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
	"github.com/mirrorset/mirrorset/internal/plugin/registry"
)

const (
	image   = "/q/app@sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706"
	timeout = 2 * time.Second // a busy machine takes long
)

func TestWhatHeadDoesNotTellIsAskedWithGet(t *testing.T) {
	plugintest.Isolate(t)
	for _, tt := range []struct {
		name string
		head http.HandlerFunc // of the manifest; nil for the registry's own
		get  func(w http.ResponseWriter, manifest []byte)
		want registry.Presence
		said string
	}{
		{"no HEAD", code(http.StatusMethodNotAllowed), nil, registry.Present, ""},
		{"nothing at HEAD", code(http.StatusNotFound), nil, registry.Present, ""},
		{"no digest", code(http.StatusOK), nil, registry.Present, ""},
		{"no headers at all", func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = nil }, func(w http.ResponseWriter, manifest []byte) {
			_, _ = w.Write(manifest) // the client says so
		}, registry.Present, ""},
		{"another manifest", code(http.StatusMethodNotAllowed), func(w http.ResponseWriter, _ []byte) {
			_, _ = io.WriteString(w, "{}") // the client says so
		}, registry.NoAnswer, "does not match requested digest"},
		{"a page", code(http.StatusMethodNotAllowed), func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusTeapot) }, registry.NoAnswer, "unexpected status code 418"},
		{"words that move a cursor", code(http.StatusMethodNotAllowed), func(w http.ResponseWriter, _ []byte) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, `{"errors": [{"code": "DENIED", "message": "bell\u0007 and \u001b[2J\u009b"}]}`)
		}, registry.NoAnswer, "DENIED: bell  and  [2J "},
		{"not for this user", code(http.StatusForbidden), nil, registry.NoAnswer, "Forbidden: it refuses the credentials"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := plugintest.NewMirror(t)
			digest := m.Push(t, "q/app")
			greets := m.Handler
			m.Answers(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					tt.head(w, r)
					return
				}
				if tt.get == nil {
					greets.ServeHTTP(w, r)
					return
				}
				recorded := httptest.NewRecorder()
				greets.ServeHTTP(recorded, r)
				tt.get(w, recorded.Body.Bytes())
			})
			for _, location := range []string{m.Host + "/q/app@" + digest, m.Host + "/q/app:latest"} {
				if tt.name == "another manifest" && strings.HasSuffix(location, ":latest") {
					continue // a tag can be anything
				}
				got := newClient(t, registry.Options{Timeout: timeout}).Has(t.Context(), location, true)
				if got.Presence != tt.want || !strings.Contains(got.Message, tt.said) {
					t.Errorf("%s: %+v; want %s, %q", location, got, tt.want, tt.said)
				}
				if strings.ContainsFunc(got.Message, unicode.IsControl) {
					t.Errorf("%s: %q", location, got.Message)
				}
				if (got.Digest == digest) != (got.Presence == registry.Present) {
					t.Errorf("%s: digest %q, want %s where it is there", location, got.Digest, digest)
				}
			}
		})
	}
}

func code(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// A registry that says nothing about the image has not said that it has it not, and why it says nothing is told at once.
func TestAPageThatAnswersEveryQuestionHasNoTag(t *testing.T) {
	plugintest.Isolate(t)
	for _, kind := range []string{"text/html", "application/json"} {
		m := plugintest.NewMirror(t)
		m.Answers(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Docker-Content-Digest", strings.TrimPrefix(image, "/q/app@"))
			_, _ = io.WriteString(w, "{}") // the client says so
		})
		got := newClient(t, registry.Options{Timeout: timeout}).Has(t.Context(), m.Host+"/q/app:latest", true)
		if got.Presence != registry.NoAnswer || got.Digest != "" {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}

func TestWhyThereIsNoAnswerIsTold(t *testing.T) {
	plugintest.Isolate(t)
	for _, tt := range []struct {
		name    string
		answer  http.HandlerFunc
		message string
	}{
		{"no registry", code(http.StatusNotFound), "/v2/: unexpected status code 404 Not Found"},
		{"no token", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="s"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, "/token?"},
		{"a broken registry", code(http.StatusInternalServerError), "/v2/: unexpected status code 500 Internal Server Error"},
		{"too many questions", ofManifest(code(http.StatusTooManyRequests)), "unexpected status code 429 Too Many Requests"},
		{"a circle", ofManifest(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }), "more than 10 redirects"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.answer)
			t.Cleanup(server.Close)
			host := strings.TrimPrefix(server.URL, "http://")
			got := newClient(t, registry.Options{Timeout: timeout}).Has(t.Context(), host+image, true)
			if got.Presence != registry.NoAnswer || !strings.Contains(got.Message, tt.message) {
				t.Errorf("%+v; want %q", got, tt.message)
			}
		})
	}
}

// ofManifest greets, and answers about manifests.
func ofManifest(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			answer(w, r)
		}
	}
}

func TestWhatIsWrongWithTLSIsToldAlone(t *testing.T) {
	plugintest.Isolate(t)
	secure, plain := httptest.NewUnstartedServer(code(http.StatusOK)), httptest.NewServer(code(http.StatusOK))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	t.Cleanup(plain.Close)
	for url, want := range map[string]string{
		secure.URL: "tls: failed to verify certificate: x509: certificate signed by unknown authority",
		plain.URL:  "http: server gave HTTP response to HTTPS client; plain HTTP is used only for a mirror that a set marks as insecure, and for a registry in a scope of --insecure-registry",
	} {
		_, host, _ := strings.Cut(url, "://")
		got := newClient(t, registry.Options{Timeout: timeout}).Has(t.Context(), host+image, false)
		if want = `GET "https://` + host + `/v2/": ` + want; got.Message != want {
			t.Errorf("%q, want %q", got.Message, want)
		}
	}
}

func newClient(t *testing.T, o registry.Options) *registry.Client {
	t.Helper()
	c, err := registry.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCertificatesOfAFileAreTrusted(t *testing.T) {
	home := plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	digest := m.Push(t, "q/app")
	secure := httptest.NewUnstartedServer(m.Handler)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	file := filepath.Join(home, "ca.pem")
	plugintest.WriteFile(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})), 0o600)
	location := strings.TrimPrefix(secure.URL, "https://") + "/q/app@" + digest
	if got := newClient(t, registry.Options{Timeout: timeout, CAFile: file}).Has(t.Context(), location, false); got.Presence != registry.Present {
		t.Errorf("%+v", got)
	}
	if got := newClient(t, registry.Options{Timeout: timeout}).Has(t.Context(), location, false); got.Presence != registry.NoAnswer {
		t.Errorf("without the file: %+v", got)
	}
}
