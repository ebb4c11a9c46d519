// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// isolate hides the logins of whoever runs the tests, and returns an empty home.
func isolate(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", filepath.Join(home, ".docker"))
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(home, "run"))
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	t.Setenv("REGISTRY_AUTH_FILE", "")
	plugintest.WriteFile(t, filepath.Join(home, "run", "x"), "", 0o600)
	return home
}

// login is an entry of a file of credentials.
func login(place, password string) string {
	return fmt.Sprintf(`%q: {"auth": %q}`, place, base64.StdEncoding.EncodeToString([]byte("me:"+password)))
}

func logins(entries ...string) string {
	return `{"auths": {` + strings.Join(entries, ", ") + `}}`
}

// locked is a mirror that wants a password.
func locked(t *testing.T) (m *mirror, digest string) {
	t.Helper()
	m = newMirror(t)
	digest = m.push(t, "q/app")
	open := m.handler
	m.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="mirror"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		open.ServeHTTP(w, r)
	})
	return m, digest
}

func TestMirrorsAreAskedWithWhatLoginsLeft(t *testing.T) {
	m, digest := locked(t)
	manifest, image := plugintest.Never("a", "quay.io", m.host+"/q"), "quay.io/app@"+digest
	const docker, podman, podmanRun = ".docker/config.json", ".config/containers/auth.json", "run/containers/auth.json"
	good := logins(login(m.host, "secret"))
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"none", nil, "Error => Nowhere"},
		{"a wrong password", map[string]string{docker: logins(login(m.host, "wrong"))}, "Error => Nowhere"},
		{"docker login", map[string]string{docker: good}, "OK => Mirror"},
		{"podman login", map[string]string{podmanRun: good}, "OK => Mirror"},
		{"podman login for good", map[string]string{podman: good}, "OK => Mirror"},
		{"podman login beside an empty file of docker", map[string]string{podmanRun: good, docker: "{}"}, "OK => Mirror"},
		{"podman login before docker login", map[string]string{podmanRun: good, docker: logins(login(m.host, "wrong"))}, "OK => Mirror"},
		{"logins for paths", map[string]string{podmanRun: logins(login(m.host+"/p", "wrong"), login(m.host+"/q", "secret"), login(m.host+"/r", "wrong"), login(m.host, "wrong"))}, "OK => Mirror"},
		{"a login for the repository before that for its namespace", map[string]string{docker: logins(login(m.host+"/q/app", "secret"), login(m.host+"/q", "wrong"))}, "OK => Mirror"},
		{"a file named in the environment", map[string]string{"named": good, podmanRun: logins(login(m.host, "wrong")), docker: "{}"}, "OK => Mirror"},
		{"a helper of podman's", map[string]string{podmanRun: `{"credHelpers": {"` + m.host + `": "good"}}`}, "OK => Mirror"},
		{"a store of docker's", map[string]string{docker: `{"auths": {"` + m.host + `": {}}, "credsStore": "good"}`}, "OK => Mirror"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := isolate(t)
			for name, text := range tt.files {
				plugintest.WriteFile(t, filepath.Join(home, name), text, 0o600)
				if name == "named" {
					t.Setenv("REGISTRY_AUTH_FILE", filepath.Join(home, name))
				}
			}
			helper(t, "good", `echo '{"ServerURL": "x", "Username": "me", "Secret": "secret"}'`)
			summary, messages, _ := checked(t, manifest, image, m.host)
			if summary != tt.want || summary != "OK => Mirror" && messages != "Unauthorized: it takes none of the credentials that podman login and docker login left\n" {
				t.Errorf("%q, messages %q; want %q", summary, messages, tt.want)
			}
		})
	}
}

// helper installs a credential helper.
func helper(t *testing.T, name, script string) {
	t.Helper()
	bin := t.TempDir()
	plugintest.WriteFile(t, filepath.Join(bin, "docker-credential-"+name), "#!/bin/sh\n"+script+"\n", 0o755)
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

// A helper's time is not the registry's, it is asked once for a repository, and not again once it does not answer.
func TestACredentialHelperIsGivenTimeOnce(t *testing.T) {
	m, digest := locked(t)
	home := isolate(t)
	plugintest.WriteFile(t, filepath.Join(home, "run", "containers", "auth.json"), `{"credHelpers": {"`+m.host+`": "slow"}}`, 0o600)
	asked := filepath.Join(home, "asked")
	count := func() int {
		text, err := os.ReadFile(asked)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "\n")
	}
	t.Setenv("ASKED", asked)
	check := func(timeout string) plugintest.Result {
		return run(t, plugintest.Never("a", "quay.io", m.host+"/q"), "check", "-f", "-", "-o", "wide", "--insecure-registry", m.host, "--parallel=1", "--registry-timeout", timeout,
			"quay.io/app@"+digest, "quay.io/app@sha256:"+strings.Repeat("f", 64), "quay.io/other@"+digest)
	}
	helper(t, "slow", `echo >> "$ASKED"; exec sleep 3`)
	r := check("200ms")
	if want := "the credential helper for " + m.host + " has not answered within 200ms"; r.Code != 1 || strings.Count(r.Stdout, want) != 3 || count() != 1 {
		t.Errorf("exit code %d, %d times asked, stdout:\n%s%s", r.Code, count(), r.Stdout, r.Stderr)
	}
	helper(t, "slow", `echo >> "$ASKED"; sleep 0.4; echo '{"ServerURL": "x", "Username": "me", "Secret": "secret"}'`)
	m.slow.Store(true)
	r = check("600ms")
	if r.Code != 1 || strings.Count(r.Stdout, "OK") != 1 || strings.Count(r.Stdout, "Missing") != 2 || count() != 3 {
		t.Errorf("exit code %d, %d times asked, stdout:\n%s%s", r.Code, count(), r.Stdout, r.Stderr)
	}
}
