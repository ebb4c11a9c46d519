// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

func TestABlockedSourceThatNoMirrorCanServeIsSaidToBe(t *testing.T) {
	never := plugintest.Never("block", "docker.io", "blocked.invalid")
	for image, want := range map[string]string{
		"alpine@sha256:" + strings.Repeat("f", 64): "Refused",
		"alpine:3.22": "",
	} {
		got, r := runJSON(t, never, "-f", "-", image)
		i := got.Images[0]
		if r.Code != 1 || i.From != fromNowhere || i.Message != `source "docker.io" is blocked by block, and no mirror can serve it` {
			t.Errorf("exit code %d:\n%s", r.Code, r.Stdout)
		}
		if (want == "") != (len(i.Places) == 0) || want != "" && string(i.Places[0].Result) != want {
			t.Errorf("%s: %+v", image, i.Places)
		}
	}
	got, _ := runJSON(t, plugintest.Set("a", "quay.io", "m.INVALID:5000/q"), "-f", "-", "quay.io/app@sha256:"+strings.Repeat("f", 64))
	if p := got.Images[0].Places[0]; got.Images[0].summary() != "Error NotAsked => Source" || p.Message != "not contacted, because no registry can exist under .invalid (RFC 6761)" {
		t.Errorf("%+v", got.Images[0])
	}
}

// A source without a rule is reached as the flag says, too.
func TestAnImageOfNoSetIsAskedForInsecurelyIfAllowed(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	image := m.Host + "/app@" + m.Push(t, "app")
	other := plugintest.Set("a", "quay.io", "m.local")
	if got, r := runJSON(t, other, "-f", "-", "--source", "--insecure-registry", m.Host, image); got.Images[0].summary() != "OK => Source" {
		t.Errorf("exit code %d:\n%s", r.Code, r.Stdout)
	}
	got, _ := runJSON(t, other, "-f", "-", "--source", image)
	if p := got.Images[0].Places[0]; p.Result != "Error" || !strings.HasSuffix(p.Message, "plain HTTP is used only for a mirror that a set marks as insecure, and for a registry in a scope of --insecure-registry") {
		t.Errorf("%+v", p)
	}
}

// What oc-mirror and Skopeo write is taken as it is.
func TestMappingFilesAreTaken(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	digest := m.Push(t, "q/app")
	file := filepath.Join(t.TempDir(), "mapping.txt")
	plugintest.WriteFile(t, file, "quay.io/app@"+digest+"=registry.corp.example:8443/app:latest\ndocker://quay.io/app@"+digest+"\n", 0o600)
	got, r := runJSON(t, plugintest.Never("a", "quay.io", m.Host+"/q"), "-f", "-", "--insecure-registry", m.Host, "--images", file)
	if r.Code != 0 || got.FromMirror != 1 || len(got.Images) != 1 {
		t.Errorf("exit code %d:\n%s", r.Code, r.Stdout)
	}
	plugintest.WriteFile(t, file, "quay.io/app@"+digest+"\noci:///mnt/catalog=m.local/c:v1\n", 0o600)
	if r := run(t, plugintest.Set("a", "quay.io", "m.local"), "check", "-f", "-", "--images", file); r.Code != 2 || !strings.HasPrefix(r.Stderr, "error: "+file+": line 2: image \"oci:///mnt/catalog=m.local/c:v1\": oci:// does not name an image in a registry") {
		t.Errorf("exit code %d, stderr %q", r.Code, r.Stderr)
	}
}

func TestErrorsAreToldInEveryTable(t *testing.T) {
	plugintest.Isolate(t)
	digest := "@sha256:" + strings.Repeat("f", 64)
	r := run(t, plugintest.Set("a", "quay.io", "127.0.0.1:1/q"), "check", "-f", "-", "quay.io/app"+digest)
	if !strings.Contains(r.Stdout, "connection refused") {
		t.Errorf("stdout:\n%s", r.Stdout)
	}
}

func TestFilesOfCertificatesAndCredentialsAreUsed(t *testing.T) {
	home := plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	digest := m.Push(t, "q/app")
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="mirror"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		m.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(secure.Close)
	host := strings.TrimPrefix(secure.URL, "https://")
	ca, auth := filepath.Join(home, "ca.pem"), filepath.Join(home, "pull-secret.json")
	plugintest.WriteFile(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})), 0o600)
	plugintest.WriteFile(t, auth, `{"auths": {"`+host+`": {"auth": "`+base64.StdEncoding.EncodeToString([]byte("me:secret"))+`"}}}`, 0o600)
	got, r := runJSON(t, plugintest.Never("a", "quay.io", host+"/q"), "-f", "-", "--ca-file", ca, "--authfile", auth, "quay.io/app@"+digest)
	if r.Code != 0 || got.FromMirror != 1 {
		t.Errorf("exit code %d:\n%s", r.Code, r.Stdout)
	}
}

// A digest is told what is found of digests, and a tag what is found of tags.
func TestFindingsAreThoseOfTheMode(t *testing.T) {
	manifest := plugintest.Documents(plugintest.Set("a", "quay.io", "mirror", "127.0.0.1:1"), plugintest.TagSet("b", "quay.io", "mirrorfortags", "127.0.0.1:1"))
	for image, want := range map[string]string{"quay.io/app@sha256:" + strings.Repeat("f", 64): `mirrors[0] "mirror" is`, "quay.io/app:v1": `mirrors[0] "mirrorfortags" is`} {
		r := run(t, manifest, "check", "-f", "-", image)
		if strings.Count(r.Stderr, "warning: ") != 1 || !strings.Contains(r.Stderr, want) {
			t.Errorf("%s: stderr %q", image, r.Stderr)
		}
	}
}
