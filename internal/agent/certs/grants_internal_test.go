// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/certsd/ondisk"
	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/grants/onhost"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// grant has one login.
func grant(t *testing.T, key, password string) grants.Grants {
	t.Helper()
	g, problems := grants.Read(&corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{
		corev1.DockerConfigJsonKey: []byte(`{"auths":{"` + key + `":{"username":"ann","password":"` + password + `"}}}`),
	}}, nil, grants.Grants{}, time.Now())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return g
}

func TestAMirrorWithALoginIsReachedThroughTheRedirector(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{other: foreign})
	n = withRedirector(t, n)
	offer(t, n, 0, "old.com")
	written := func() string { return sinktest.Tree(t, filepath.Join(root, dir))["old.com/hosts.toml"] }
	direct := written()
	sinktest.Write(t, root, ondisk.OwnTLSDir+"/mirror.local:5000/"+onhost.CertFile, "what another sink wrote of the grants")
	for key, want := range map[string]bool{"mirror.local:5000": true, "mirror.local:5000/x/deep": true, "mirror.local:5000/other": false, "mirror.local": false} {
		n.rules.Grants = grant(t, key, "secret1")
		n.Follow(n.rules)
		if err := n.repair(); err != nil {
			t.Fatal(err)
		}
		if got := written(); strings.Contains(got, "https://mirror.local:5000") == want || (got == direct) == want {
			t.Errorf("a login for %s: got %s", key, got)
		}
	}
}

func TestAMirrorThatRefusesItsLoginIsAProblemOfTheNode(t *testing.T) {
	const manifest = "{}"
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, p, _ := r.BasicAuth(); p != "secret1" {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, manifest)
	}))
	t.Cleanup(mirror.Close)
	at := strings.TrimPrefix(mirror.URL, "http://")
	sets, err := mirrorstest.Parse("a: s.com -> " + at + "/x")
	if err != nil {
		t.Fatal(err)
	}
	var woken atomic.Int32
	n, _, _ := newHost(t, sinktest.Files{other: foreign})
	env := sinktest.Env(n.env.Host, n.env.Log)
	env.Wake = func() { woken.Add(1) }
	n.settings.redirectorPort = sinktest.FreePort(t)
	n = &host{Sink: newSink(env, n.settings), logged: n.logged}
	n.Serve(t.Context())
	t.Cleanup(func() { _ = n.Close() })
	n.rules = sinktest.Accepted(t, 0)
	n.rules.Rules = kinds.Merge(sets, mirrors.Scopes{mirrors.Scope(at)}).Rules
	for i, c := range []struct {
		password string
		status   int
		problems int
	}{{"wrong", http.StatusNotFound, 1}, {"secret1", http.StatusOK, 0}} {
		n.rules.Grants = grant(t, at, c.password)
		n.Follow(n.rules)
		if err := n.repair(); err != nil { // which makes the key, before the first request
			t.Fatal(err)
		}
		resp, err := http.Get("http://" + n.server.Address() + n.keys.open()[0].Path("s.com", "0") + "/y/manifests/" + digest.FromString(manifest).String() + "?ns=s.com")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if err := n.repair(); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != c.status || len(n.Problems) != c.problems || int(woken.Load()) != i+1 {
			t.Errorf("%s: status %d, problems %+v, woken %d times", c.password, resp.StatusCode, n.Problems, woken.Load())
		}
		for _, p := range n.Problems {
			if p.Reason != nodecheck.MirrorLoginRefused || p.Runtime != nodecheck.Containerd || p.Effect != nodecheck.Mild || p.Remedy == "" || strings.Contains(p.Message, "wrong") {
				t.Errorf("problem %+v", p)
			}
		}
	}
}
