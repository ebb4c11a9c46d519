// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

func TestWhatHeadDoesNotTellIsAskedWithGet(t *testing.T) {
	isolate(t)
	for _, tt := range []struct {
		name       string
		head       http.HandlerFunc // of the manifest; nil for the registry's own
		get        func(w http.ResponseWriter, manifest []byte)
		want, said string
	}{
		{"no HEAD", code(http.StatusMethodNotAllowed), nil, "OK => Mirror", ""},
		{"nothing at HEAD", code(http.StatusNotFound), nil, "OK => Mirror", ""},
		{"no digest", code(http.StatusOK), nil, "OK => Mirror", ""},
		{"no headers at all", func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = nil }, func(w http.ResponseWriter, manifest []byte) {
			_, _ = w.Write(manifest) // the client says so
		}, "OK => Mirror", ""},
		{"another manifest", code(http.StatusMethodNotAllowed), func(w http.ResponseWriter, _ []byte) {
			_, _ = io.WriteString(w, "{}") // the client says so
		}, "Error => Nowhere", "does not match requested digest"},
		{"a page", code(http.StatusMethodNotAllowed), func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusTeapot) }, "Error => Nowhere", "unexpected status code 418"},
		{"not for this user", code(http.StatusForbidden), nil, "Error => Nowhere", "Forbidden: it takes none of the credentials"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMirror(t)
			digest := m.push(t, "q/app")
			registry := m.handler
			m.answers(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					tt.head(w, r)
					return
				}
				if tt.get == nil {
					registry.ServeHTTP(w, r)
					return
				}
				recorded := httptest.NewRecorder()
				registry.ServeHTTP(recorded, r)
				tt.get(w, recorded.Body.Bytes())
			})
			summary, messages, _ := checked(t, plugintest.Never("a", "quay.io", m.host+"/q"), "quay.io/app@"+digest, m.host)
			if summary != tt.want || !strings.Contains(messages, tt.said) {
				t.Errorf("%q, messages %q; want %q, %q", summary, messages, tt.want, tt.said)
			}
		})
	}
}

func code(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// A registry that says nothing about the image has not said that it has it not, and why it says nothing is told at once.
func TestWhyThereIsNoAnswerIsTold(t *testing.T) {
	isolate(t)
	const image = "quay.io/app@sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706"
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
			summary, messages, _ := checked(t, plugintest.Never("a", "quay.io", host+"/q"), image, host)
			if summary != "Error => Nowhere" || !strings.Contains(messages, tt.message) {
				t.Errorf("%q, messages %q; want %q", summary, messages, tt.message)
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
	isolate(t)
	const image = "quay.io/app@sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706"
	secure, plain := httptest.NewUnstartedServer(code(http.StatusOK)), httptest.NewServer(code(http.StatusOK))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	t.Cleanup(plain.Close)
	for url, want := range map[string]string{
		secure.URL: "tls: failed to verify certificate: x509: certificate signed by unknown authority\n",
		plain.URL:  "http: server gave HTTP response to HTTPS client; plain HTTP is for --insecure-registry only\n",
	} {
		_, host, _ := strings.Cut(url, "://")
		_, messages, _ := checked(t, plugintest.Never("a", "quay.io", host+"/q"), image)
		if want = `GET "https://` + host + `/v2/": ` + want; messages != want {
			t.Errorf("%q, want %q", messages, want)
		}
	}
}

func TestWhyAMirrorIsNotAskedIsTold(t *testing.T) {
	image := "quay.io/app@sha256:" + strings.Repeat("f", 64)
	r := run(t, plugintest.Set("a", "quay.io", "mirror"), "check", "-f", "-", image)
	if r.Code != 1 || !strings.HasPrefix(r.Stderr, "warning: InvalidMirror: a: spec.imageDigestMirrors[0]: mirror \"mirror\" of source ") {
		t.Errorf("exit code %d, stderr %q", r.Code, r.Stderr)
	}
	r = run(t, plugintest.Never("a", "quay.io", "m.local/q")+"  - source: ghcr.io\n    mirrors: [m.local]\n    mirrorSourcePolicy: NeverContactSource\n", "check", "-f", "-", "quay.io/app:v1")
	if strings.Count(r.Stderr, "warning: ") != 1 || !strings.HasPrefix(r.Stderr, "warning: BlocksTagPulls: a: spec.imageDigestMirrors[0]: ") {
		t.Errorf("stderr %q", r.Stderr)
	}
}

func TestWhatCannotBeCheckedIsAnError(t *testing.T) {
	manifest := plugintest.Set("a", "quay.io", "m.local/q")
	long := filepath.Join(t.TempDir(), "long")
	plugintest.WriteFile(t, long, "\n"+strings.Repeat("a", 70000)+"\n", 0o600)
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"there is no image to check", []string{"-f", "-"}},
		{`image "UPPER"`, []string{"-f", "-", "UPPER"}},
		{"none: no such file or directory", []string{"-f", "-", "--images", "none"}},
		{long + ": line 2: bufio.Scanner: token too long", []string{"-f", "-", "--images", long}},
		{"-f and --images cannot both read standard input", []string{"-f", "-", "--images", "-"}},
		{"--parallel 0: want 1 or more", []string{"-f", "-", "--parallel=0", "a"}},
		{"--registry-timeout 0s: want more than 0", []string{"-f", "-", "--registry-timeout=0s", "a"}},
		{"--registry-timeout -1s: want more than 0", []string{"-f", "-", "--registry-timeout=-1s", "a"}},
		{`--output "name": want one of table, wide, json, yaml`, []string{"-f", "-", "-o", "name", "a"}},
		{`--insecure-registry: scope "http://m"`, []string{"-f", "-", "--insecure-registry", "http://m", "a"}},
		{"without -f, the sets are those of a cluster: the cluster does not serve imagedigestmirrorsets.config.openshift.io", []string{"--server", plugintest.Serve(t, nil), "a"}},
	} {
		r := run(t, manifest, append([]string{"check"}, tt.args...)...)
		if r.Code != 2 || r.Stdout != "" || !strings.HasPrefix(r.Stderr, "error: "+tt.want) {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", tt.args, r.Code, r.Stdout, r.Stderr)
		}
	}
}
