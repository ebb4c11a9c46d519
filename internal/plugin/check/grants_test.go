// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"encoding/base64"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

const (
	secretPath      = "/api/v1/namespaces/mirrorset-system/secrets/mirror-credentials"
	authoritiesPath = "/api/v1/namespaces/mirrorset-system/configmaps/mirror-authorities"
)

// granting is a cluster that grants these; "" for an object that is not there.
func granting(t *testing.T, auths string, authorities map[string]string) map[string]any {
	t.Helper()
	objects := served(t, nil)
	if auths != "" {
		objects[secretPath] = map[string]any{"kind": "Secret", "apiVersion": "v1", "type": "kubernetes.io/dockerconfigjson",
			"data": map[string]string{".dockerconfigjson": base64.StdEncoding.EncodeToString([]byte(`{"auths": {` + auths + `}}`))}}
	}
	if authorities != nil {
		objects[authoritiesPath] = map[string]any{"kind": "ConfigMap", "apiVersion": "v1", "data": authorities}
	}
	return objects
}

func auth(key, password string) string {
	return `"` + key + `": {"username": "me", "password": "` + password + `"}`
}

// hides fails where a password, or what is made of one, is printed.
func hides(t *testing.T, r plugintest.Result) {
	t.Helper()
	for _, password := range []string{"secret", "wrong-one"} {
		for _, text := range []string{`"` + password, "me:" + password, base64.StdEncoding.EncodeToString([]byte("me:" + password))} {
			if strings.Contains(r.Stdout+r.Stderr, text) {
				t.Errorf("%q is printed:\n%s%s", text, r.Stdout, r.Stderr)
			}
		}
	}
}

func TestMirrorsAreAskedAsTheNodesAskThem(t *testing.T) {
	home := plugintest.Isolate(t)
	m := plugintest.NewPrivate(t)
	image := "quay.io/app@" + m.Push(t, "q/app")
	plugintest.WriteFile(t, filepath.Join(home, "run", "containers", "auth.json"), `{"auths": {`+auth(m.Name, "secret")+`}}`, 0o600) // counts for nothing
	key := grants.AuthorityKey(m.Name)
	trusted := map[string]string{key: m.Authority}
	other := plugintest.NewPrivate(t)
	for _, tt := range []struct {
		name, auths string
		authorities map[string]string
		want        string
		message     string
		stderr      string
	}{
		{"both", auth(m.Name, "secret"), trusted, "OK NotAsked => Mirror", "", ""},
		{"a login for the path before one for the host", auth(m.Name+"/q", "secret") + ", " + auth(m.Name, "wrong-one"), trusted, "OK NotAsked => Mirror", "", ""},
		{"a wrong password", auth(m.Name+"/q", "wrong-one"), trusted, "Error NotAsked => Source", `Unauthorized: it refuses the login in Secret mirror-credentials under the key "` + m.Name + `/q"`, ""},
		{"a login for another path", auth(m.Name+"/r", "secret"), trusted, "Error NotAsked => Source", `Unauthorized: it requires a login, and Secret mirror-credentials has none for it; add one under the key "` + m.Name + `"`, `warning: MirrorGrants: Secret mirror-credentials, key "` + m.Name + `/r": no set names a mirror there, so the key is not used`},
		{"no secret", "", trusted, "Error NotAsked => Source", "Unauthorized: it requires a login", "note: there is no Secret mirror-credentials in namespace mirrorset-system, so mirrors are contacted without a login\n"},
		{"no authorities", auth(m.Name, "secret"), nil, "Error NotAsked => Source", `; put the certificate of its authority into ConfigMap mirror-authorities under the key "` + key + `"`, "note: there is no ConfigMap mirror-authorities"},
		{"an authority for another port", auth(m.Name, "secret"), map[string]string{"127.0.0.1": m.Authority}, "Error NotAsked => Source", "into ConfigMap mirror-authorities under the key", `warning: MirrorGrants: ConfigMap mirror-authorities, key "127.0.0.1": no set names a mirror there, so the key is not used`},
		{"another authority", auth(m.Name, "secret"), map[string]string{key: other.Authority}, "Error NotAsked => Source", `; its certificate is signed neither by an authority of the system nor by one in ConfigMap mirror-authorities under the key "` + key + `"`, ""},
		{"a key that is broken", `"` + m.Name + `": {"auth": "bWU"}`, trusted, "Error NotAsked => Source", "Unauthorized: it requires a login", `warning: MirrorGrants: Secret mirror-credentials, key "` + m.Name + `": its auth is not NAME:PASSWORD in base64. The login is not used; fix or remove that key` + "\n"},
		{"an authority that is none", auth(m.Name, "secret"), map[string]string{key: "secret"}, "Error NotAsked => Source", "into ConfigMap mirror-authorities under the key", `warning: MirrorGrants: ConfigMap mirror-authorities, key "` + key + `": it has no certificate in PEM format. The certificates are not used; put `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := plugintest.Serve(t, granting(t, tt.auths, tt.authorities))
			got, r := runJSON(t, plugintest.Set("a", "quay.io", m.Name+"/q"), "-f", "-", "--cluster-credentials", "--server", url, image)
			i := got.of(t, image)
			if i.summary() != tt.want || !strings.Contains(i.Places[0].Message, tt.message) || (tt.message == "") != (i.Places[0].Message == "") {
				t.Errorf("%q, %q; want %q, %q", i.summary(), i.Places[0].Message, tt.want, tt.message)
			}
			if !strings.Contains(r.Stderr, tt.stderr) || (tt.stderr == "") != (r.Stderr == "") || (r.Code == 0) != (tt.message == "") {
				t.Errorf("exit code %d, stderr %q; want %q", r.Code, r.Stderr, tt.stderr)
			}
			hides(t, r)
		})
	}
}

// What is granted for mirrors is for no source, be it named among the mirrors, and be it a mirror of another source.
func TestASourceIsAskedWithoutWhatMirrorsAreGranted(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewPrivate(t)
	image := m.Name + "/q/app@" + m.Push(t, "q/app")
	url := plugintest.Serve(t, granting(t, auth(m.Name, "secret"), map[string]string{grants.AuthorityKey(m.Name): m.Authority}))
	got, first := runJSON(t, plugintest.Set("a", m.Name, m.Name, "127.0.0.1:1/q"), "-f", "-", "--cluster-credentials", "--source", "--server", url, image)
	if want := "warning: MirrorGrantsFile: mirror " + m.Name + " is also a source"; !strings.Contains(first.Stderr, want) {
		t.Errorf("stderr %q, want %q", first.Stderr, want)
	}
	i := got.of(t, image)
	if i.summary() != "Error Error Error => Nowhere" || !strings.Contains(i.Places[0].Message, "it is a source, so nodes do not use ConfigMap mirror-authorities for it") {
		t.Errorf("%+v", i)
	}
	got, r := runJSON(t, plugintest.Set("a", m.Name, "127.0.0.1:1/q"), "-f", "-", "--cluster-credentials", "--source", "--insecure-registry", m.Name, "--server", url, image)
	if i = got.of(t, image); i.Places[1].Message != "Unauthorized: it is a source, so it was contacted without a login; the pull secret of a Pod may have one" {
		t.Errorf("%+v", i)
	}
	for _, header := range m.Seen() {
		if header != "" {
			t.Errorf("the source was sent %q", header)
		}
	}
	hides(t, r)
}

func TestWordsOfARegistryThatCouldRepeatALoginAreNotShown(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewPrivate(t)
	m.Answers(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte(`{"errors": [{"code": "DENIED", "message": "you sent ` + r.Header.Get("Authorization") + `"}]}`)) // the client says so
	})
	url := plugintest.Serve(t, granting(t, auth(m.Name, "secret"), map[string]string{grants.AuthorityKey(m.Name): m.Authority}))
	image := "quay.io/app@sha256:" + strings.Repeat("f", 64)
	got, r := runJSON(t, plugintest.Set("a", "quay.io", m.Name+"/q"), "-f", "-", "--cluster-credentials", "--server", url, image)
	if p := got.of(t, image).Places[0]; p.Message != "unexpected status code 418 I'm a teapot" {
		t.Errorf("%+v", p)
	}
	hides(t, r)
}

func TestNoRegistryIsAskedBeforeTheGrantsAreRead(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	for path, want := range map[string]string{
		secretPath:      "error: --cluster-credentials: Secret mirror-credentials in namespace mirrorset-system: you need the right to get it (check with: kubectl auth can-i get secrets/mirror-credentials -n mirrorset-system): ",
		authoritiesPath: "error: --cluster-credentials: ConfigMap mirror-authorities in namespace mirrorset-system: you need the right to get it (check with: kubectl auth can-i get configmaps/mirror-authorities -n mirrorset-system): ",
	} {
		objects := granting(t, auth(m.Host, "secret"), map[string]string{})
		objects[path] = http.HandlerFunc(plugintest.Refuse)
		r := run(t, plugintest.Set("a", "quay.io", m.Host), "check", "-f", "-", "--cluster-credentials", "--insecure-registry", m.Host, "--server", plugintest.Serve(t, objects), "quay.io/app@sha256:"+strings.Repeat("f", 64))
		if r.Code != 2 || r.Stdout != "" || !strings.HasPrefix(r.Stderr, want) || m.Asked.Load() > 0 {
			t.Errorf("exit code %d, asked %d times, stderr %q", r.Code, m.Asked.Load(), r.Stderr)
		}
	}
	for _, flag := range []string{"--authfile", "--ca-file"} {
		r := run(t, plugintest.Set("a", "quay.io", m.Host), "check", "-f", "-", "--cluster-credentials", flag, "x", "quay.io/app")
		if r.Code != 2 || !strings.HasPrefix(r.Stderr, "error: --cluster-credentials uses the credentials that the cluster grants its nodes, ") {
			t.Errorf("exit code %d, stderr %q", r.Code, r.Stderr)
		}
	}
}
