// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
	"github.com/mirrorset/mirrorset/internal/plugin/registry"
)

// login is an entry of a file of credentials.
func login(place, password string) string {
	return fmt.Sprintf(`%q: {"auth": %q}`, place, base64.StdEncoding.EncodeToString([]byte("me:"+password)))
}

func logins(entries ...string) string {
	return `{"auths": {` + strings.Join(entries, ", ") + `}}`
}

// locked is a mirror that wants a password.
func locked(t *testing.T) (m *plugintest.Mirror, digest string) {
	t.Helper()
	m = plugintest.NewMirror(t)
	digest = m.Push(t, "q/app")
	open := m.Handler
	m.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	const docker, podman, podmanRun = ".docker/config.json", ".config/containers/auth.json", "run/containers/auth.json"
	good := logins(login(m.Host, "secret"))
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  registry.Presence
	}{
		{"none", nil, registry.NoAnswer},
		{"a wrong password", map[string]string{docker: logins(login(m.Host, "wrong"))}, registry.NoAnswer},
		{"docker login", map[string]string{docker: good}, registry.Present},
		{"podman login", map[string]string{podmanRun: good}, registry.Present},
		{"podman login for good", map[string]string{podman: good}, registry.Present},
		{"podman login beside an empty file of docker", map[string]string{podmanRun: good, docker: "{}"}, registry.Present},
		{"podman login before docker login", map[string]string{podmanRun: good, docker: logins(login(m.Host, "wrong"))}, registry.Present},
		{"logins for paths", map[string]string{podmanRun: logins(login(m.Host+"/p", "wrong"), login(m.Host+"/q", "secret"), login(m.Host+"/r", "wrong"), login(m.Host, "wrong"))}, registry.Present},
		{"a login for the repository before that for its namespace", map[string]string{docker: logins(login(m.Host+"/q/app", "secret"), login(m.Host+"/q", "wrong"))}, registry.Present},
		{"a file named in the environment", map[string]string{"named": good, podmanRun: logins(login(m.Host, "wrong")), docker: "{}"}, registry.Present},
		{"a helper of podman's", map[string]string{podmanRun: `{"credHelpers": {"` + m.Host + `": "good"}}`}, registry.Present},
		{"a store of docker's", map[string]string{docker: `{"auths": {"` + m.Host + `": {}}, "credsStore": "good"}`}, registry.Present},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := plugintest.Isolate(t)
			for name, text := range tt.files {
				plugintest.WriteFile(t, filepath.Join(home, name), text, 0o600)
				if name == "named" {
					t.Setenv("REGISTRY_AUTH_FILE", filepath.Join(home, name))
				}
			}
			helper(t, "good", `echo '{"ServerURL": "x", "Username": "me", "Secret": "secret"}'`)
			for _, place := range []string{"/q/app@" + digest, "/q/app:latest"} {
				got := newClient(t, registry.Options{Timeout: timeout}).Has(t.Context(), m.Host+place, true)
				if got.Presence != tt.want || got.Presence != registry.Present && got.Message != "Unauthorized: it refuses the credentials stored by podman login and docker login" {
					t.Errorf("%s: %+v; want %s", place, got, tt.want)
				}
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
	home := plugintest.Isolate(t)
	plugintest.WriteFile(t, filepath.Join(home, "run", "containers", "auth.json"), `{"credHelpers": {"`+m.Host+`": "slow"}}`, 0o600)
	asked := filepath.Join(home, "asked")
	count := func() int {
		text, err := os.ReadFile(asked)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "\n")
	}
	t.Setenv("ASKED", asked)
	check := func(timeout time.Duration) (answers string) {
		client := newClient(t, registry.Options{Timeout: timeout})
		for _, place := range []string{"/q/app@" + digest, "/q/app@sha256:" + strings.Repeat("f", 64), "/q/other@" + digest} {
			got := client.Has(t.Context(), m.Host+place, true)
			answers += fmt.Sprintf("%s %s\n", got.Presence, got.Message)
		}
		return answers
	}
	helper(t, "slow", `echo >> "$ASKED"; exec sleep 3`)
	answers := check(200 * time.Millisecond)
	if want := "the credential helper for " + m.Host + " did not answer within 200ms"; strings.Count(answers, want) != 3 || count() != 1 {
		t.Errorf("%d times asked, answers:\n%s", count(), answers)
	}
	helper(t, "slow", `echo >> "$ASKED"; sleep 0.4; echo '{"ServerURL": "x", "Username": "me", "Secret": "secret"}'`)
	m.Slow.Store(true)
	if answers = check(600 * time.Millisecond); answers != "OK \nMissing \nMissing \n" || count() != 3 {
		t.Errorf("%d times asked, answers:\n%s", count(), answers)
	}
}

// A file that is named is read alone, whatever logins left.
func TestAFileOfCredentialsIsUsedAlone(t *testing.T) {
	m, digest := locked(t)
	for _, tt := range []struct {
		name, named, environment, left string
		want                           registry.Presence
		message                        string
	}{
		{"the file's", logins(login(m.Host, "secret")), "", logins(login(m.Host, "wrong")), registry.Present, ""},
		{"the file's for a path, as in a pull secret", logins(login(m.Host+"/q", "secret"), login(m.Host, "wrong")), "", "", registry.Present, ""},
		{"the file's before that of the environment", logins(login(m.Host, "secret")), logins(login(m.Host, "wrong")), "", registry.Present, ""},
		{"a wrong one, and a right one that was left", logins(login(m.Host, "wrong")), "", logins(login(m.Host, "secret")), registry.NoAnswer, "Unauthorized: it refuses the credentials in "},
		{"none for it, and a right one that was left", logins(), "", logins(login(m.Host, "secret")), registry.NoAnswer, "Unauthorized: it refuses the credentials in "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := plugintest.Isolate(t)
			named := filepath.Join(home, "named.json")
			plugintest.WriteFile(t, named, tt.named, 0o600)
			if tt.environment != "" {
				plugintest.WriteFile(t, filepath.Join(home, "environment.json"), tt.environment, 0o600)
				t.Setenv("REGISTRY_AUTH_FILE", filepath.Join(home, "environment.json"))
			}
			if tt.left != "" {
				plugintest.WriteFile(t, filepath.Join(home, "run", "containers", "auth.json"), tt.left, 0o600)
				plugintest.WriteFile(t, filepath.Join(home, ".docker", "config.json"), `{"auths": {"`+m.Host+`": {}}, "credsStore": "good"}`, 0o600)
				helper(t, "good", `echo '{"ServerURL": "x", "Username": "me", "Secret": "secret"}'`)
			}
			got := newClient(t, registry.Options{Timeout: timeout, AuthFile: named}).Has(t.Context(), m.Host+"/q/app@"+digest, true)
			if tt.message != "" {
				tt.message += named
			}
			if got.Presence != tt.want || got.Message != tt.message {
				t.Errorf("%+v; want %s, %q", got, tt.want, tt.message)
			}
		})
	}
}

func TestAFileThatIsOfNoUseIsAnError(t *testing.T) {
	home := plugintest.Isolate(t)
	file := filepath.Join(home, "file")
	for text, want := range map[string]string{
		"":                       "the file must be JSON with auths or credHelpers",
		"auths: {}":              "the file must be JSON with auths or credHelpers",
		"{}":                     "the file must be JSON with auths or credHelpers",
		`{"auths": []}`:          "the file must be JSON with auths or credHelpers",
		`{"quay.io":{"auth":1}}`: "the file must be JSON with auths or credHelpers",
	} {
		plugintest.WriteFile(t, file, text, 0o600)
		if _, err := registry.NewClient(registry.Options{AuthFile: file}); err == nil || !strings.HasPrefix(err.Error(), "--authfile "+file+": "+want) {
			t.Errorf("%q: error %v", text, err)
		}
	}
	plugintest.WriteFile(t, file, "no certificate", 0o600)
	for _, o := range []registry.Options{{CAFile: file}, {CAFile: home + "/none"}, {AuthFile: home + "/none"}, {CAFile: home}} {
		if _, err := registry.NewClient(o); err == nil || !strings.HasPrefix(err.Error(), "--") || !strings.Contains(err.Error(), home) {
			t.Errorf("%+v: error %v", o, err)
		}
	}
}
