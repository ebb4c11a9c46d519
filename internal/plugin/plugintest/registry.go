// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Mirror is a registry in this process.
type Mirror struct {
	// Handler answers all requests.
	Handler http.Handler
	Host    string
	// Asked counts the requests for the head of a manifest.
	Asked atomic.Int32
	// Slow has it take its time to greet.
	Slow atomic.Bool
}

// NewMirror starts one without images.
func NewMirror(t *testing.T) *Mirror {
	t.Helper()
	m := &Mirror{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/manifests/") && r.Method == http.MethodHead {
			m.Asked.Add(1)
		}
		if m.Slow.Load() && r.URL.Path == "/v2/" {
			time.Sleep(350 * time.Millisecond)
		}
		m.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	m.Host = strings.TrimPrefix(server.URL, "http://")
	return m
}

// Answers replaces what follows the registry's greeting.
func (m *Mirror) Answers(handler http.HandlerFunc) {
	greets := m.Handler
	m.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			greets.ServeHTTP(w, r)
			return
		}
		handler(w, r)
	})
}

// Push puts a new image in and returns its digest.
func (m *Mirror) Push(t *testing.T, repository string) string {
	t.Helper()
	image, err := random.Image(16, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(m.Host+"/"+repository+":latest", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	m.Asked.Store(0)
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

// Isolate hides the logins of the user who runs the tests, and returns an empty home.
func Isolate(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", filepath.Join(home, ".docker"))
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(home, "run"))
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	t.Setenv("REGISTRY_AUTH_FILE", "")
	WriteFile(t, filepath.Join(home, "run", "x"), "", 0o600)
	return home
}
