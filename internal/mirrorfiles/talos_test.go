// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrorfiles"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// The example of https://docs.siderolabs.com/talos/v1.12/reference/configuration/cri/registrymirrorconfig, but for its names.
const talosMirror = `
apiVersion: v1alpha1
kind: RegistryMirrorConfig
name: registry.k8s.io
endpoints:
- url: https://private.example:5000
- url: http://harbor.example/v2/k8s/
  overridePath: true
skipFallback: true
`

func TestTalosDocumentsMeanTheSameOrAreLeftOut(t *testing.T) {
	content, err := mirrorfiles.TalosDocument(toJSON(t, talosMirror))
	if err != nil || len(content.Lost) > 0 {
		t.Fatal(err, content.Lost)
	}
	for _, suffix := range []string{digest, ":1"} {
		if got, want := places(t, merged(content).Rules, "registry.k8s.io/pause"+suffix), []string{"private.example:5000/pause", "harbor.example/k8s/pause"}; !slices.Equal(got, want) {
			t.Errorf("pause%s comes from %q, want %q", suffix, got, want)
		}
	}
	says(t, content.Elsewhere, "--insecure-registry=harbor.example")

	content, err = mirrorfiles.TalosDocument(toJSON(t, strings.NewReplacer("skipFallback: true", "skipFallback: false", "  overridePath: true\n", "", "/v2/k8s/", "/hub").Replace(talosMirror)))
	if err != nil || len(content.Entries) > 0 {
		t.Fatal(err, content.Entries)
	}
	says(t, content.Lost, `registry "registry.k8s.io" is left out`, `its API at "/hub/v2"`, "overridePath: false")
}

func TestATalosMachineConfigurationIsRead(t *testing.T) {
	content, err := mirrorfiles.TalosMachine(toJSON(t, `
version: v1alpha1
machine:
  type: worker
  token: hunter2
  registries:
    mirrors:
      docker.io: {endpoints: ["https://mirror.example/v2/hub", "https://registry-1.docker.io/v2/"], overridePath: true}
      ghcr.io: {endpoints: ["https://mirror.example"], skipFallback: true}
      "*": {endpoints: ["https://all.example"]}
      empty.example:
    config:
      mirror.example:
        tls: {insecureSkipVerify: true, ca: hunter2}
        auth: {username: me, password: hunter2}
cluster: {secret: hunter2}
`))
	if err != nil {
		t.Fatal(err)
	}
	rules := merged(content).Rules
	for image, want := range map[string][]string{
		"docker.io/a/b:1":    {"mirror.example/hub/a/b", "docker.io/a/b"},
		"ghcr.io/a" + digest: {"mirror.example/a"},
	} {
		if got := places(t, rules, image); !slices.Equal(got, want) {
			t.Errorf("%s comes from %q, want %q; lost %q", image, got, want, content.Lost)
		}
	}
	says(t, content.Lost, `"*"`, "no source matches all registries")
	says(t, content.Lost, `"empty.example"`, "there is no endpoint")
	says(t, content.Elsewhere, "--insecure-registry=mirror.example")
	says(t, content.Elsewhere, "TLS files")
	says(t, content.Elsewhere, "credentials for")
	if said := strings.Join(slices.Concat(content.Lost, content.Elsewhere, content.Ignored), ""); strings.Contains(said, "hunter2") {
		t.Error(said)
	}
}

func TestAnInstallConfigIsForDigests(t *testing.T) {
	content, err := mirrorfiles.InstallConfig(toJSON(t, `
apiVersion: v1
metadata: {name: ocp}
pullSecret: hunter2
imageDigestSources:
- source: quay.io/openshift-release-dev/ocp-release
  mirrors: [registry.example:5000/ocp/release]
- {source: quay.io/a, mirrors: [m.example/a], sourcePolicy: NeverContactSource}
`))
	if err != nil || len(content.Entries) != 2 {
		t.Fatal(err, content)
	}
	for i, e := range content.Entries {
		if e.Mode != mirrors.ByDigest || (e.Policy == mirrors.NeverContactSource) != (i == 1) {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
}

// installConfig reads what stands in an install-config.yaml.
func installConfig(t *testing.T, text string) *mirrorfiles.Content {
	t.Helper()
	content, err := mirrorfiles.InstallConfig(toJSON(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestAnEntryWithoutMirrorsDoesNothingInOpenShift(t *testing.T) {
	for _, field := range mirrorfiles.InstallConfigFields {
		content := installConfig(t, field+": [{source: quay.io, mirrors: [m.example/quay]}, {source: quay.io/a}, {source: quay.io/b, mirrors: []}]")
		if got := places(t, merged(content).Rules, "quay.io/a/x"+digest); !slices.Equal(got, []string{"m.example/quay/a/x", "quay.io/a/x"}) || len(content.Lost) > 0 {
			t.Errorf("%s: %q, lost %q", field, got, content.Lost)
		}
		says(t, content.Ignored, field+`[1]: source "quay.io/a" has no mirror and no effect`)
		says(t, content.Ignored, field+`[2]: source "quay.io/b" has no mirror and no effect`)
	}
}

func TestAnEntryOfAnInstallConfigThatNoAPIServerTakesIsLeftOut(t *testing.T) {
	content := installConfig(t, `
imageDigestSources:
- {source: a.io, mirrors: [m.example/a:v1]}
- {source: b.io, mirrors: [n.example, m.example, n.example]}
- {source: c.io, mirrors: [m.example], sourcePolicy: Foo}
- {source: "https://d.io", mirrors: [m.example]}
- {mirrors: [m.example]}
- {source: f.io, mirrors: [single, m.example], sourcePolicy: AllowContactingSource}
`)
	if got := sources(content); !slices.Equal(got, []string{"b.io", "f.io"}) {
		t.Errorf("sources %q", got)
	}
	for image, want := range map[string][]string{"b.io/x": {"n.example/x", "m.example/x", "b.io/x"}, "f.io/x": {"m.example/x", "f.io/x"}} {
		if got := places(t, merged(content).Rules, image+digest); !slices.Equal(got, want) {
			t.Errorf("%s comes from %q", image, got)
		}
	}
	says(t, content.Lost, `imageDigestSources[0].mirrors[0] is left out: mirror "m.example/a:v1" of source "a.io": it ends with the tag ":v1"; write "m.example/a"`)
	says(t, content.Lost, `imageDigestSources[0]: source "a.io": no mirror is left`)
	says(t, content.Ignored, `imageDigestSources[1].mirrors[2]: mirror "n.example"`, "counts once")
	says(t, content.Lost, `imageDigestSources[2]: source "c.io" is left out: its sourcePolicy "Foo" is neither NeverContactSource nor AllowContactingSource`)
	says(t, content.Lost, `imageDigestSources[3]: source "https://d.io" is left out: it begins with the scheme`)
	says(t, content.Lost, "imageDigestSources[4] is left out: it has no source")
	says(t, content.Lost, `imageDigestSources[5].mirrors[0] is left out: mirror "single" of source "f.io": its host is a single label`)
}

func TestUnknownFieldsOfOpenShiftAndTalosAreSaid(t *testing.T) {
	content := installConfig(t, `
baseDomain: example.com
imageDigestSource: []
imageDigestSources: [{source: a.io, mirrors: [m.example], mirrorSourcePolicy: NeverContactSource}, {source: b.io, mirror: [m.example]}]
imageContentSources: [{source: c.io, mirrors: [m.example], sourcePolicy: NeverContactSource}]
`)
	says(t, content.Ignored, `unknown field "imageDigestSources[0].mirrorSourcePolicy"`, "the installer of OpenShift ignores it", "sourcePolicy")
	says(t, content.Ignored, `unknown field "imageDigestSources[1].mirror"`)
	says(t, content.Ignored, `unknown field "imageContentSources[0].sourcePolicy"`)
	says(t, content.Ignored, `unknown field "imageDigestSource"`)
	if len(content.Ignored) != 5 || len(content.Lost) > 0 || merged(content).Rules[0].Blocked { // the fifth is that b.io has no mirror
		t.Errorf("ignored %q, lost %q", content.Ignored, content.Lost)
	}

	content, err := mirrorfiles.TalosDocument(toJSON(t, "apiVersion: v1alpha1\nkind: RegistryMirrorConfig\nname: a.io\nendpoint: [{url: https://m.example}]\nendpoints: [{url: https://n.example, overridepath: true}]"))
	if err != nil || len(content.Lost) != 2 {
		t.Fatal(err, content.Lost)
	}
	says(t, content.Lost, `unknown field "endpoint": Talos refuses a configuration with it`)
	says(t, content.Lost, `unknown field "endpoints[0].overridepath"`)
	content, err = mirrorfiles.TalosMachine(toJSON(t, `
version: v1alpha1
machine:
  type: worker
  registries:
    mirror: {}
    mirrors: {a.io: {endpoint: [https://m.example], endpoints: [https://n.example]}}
    config: {n.example: {auth: {user: me, password: hunter2, username: me, auth: x, identityToken: y}, tls: {insecure: true, ca: x, clientIdentity: {crt: x, key: y}}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	says(t, content.Lost, `unknown field "machine.registries.mirror"`)
	says(t, content.Lost, `unknown field "machine.registries.mirrors.a.io.endpoint"`)
	says(t, content.Lost, `unknown field "machine.registries.config.n.example.auth.user"`)
	says(t, content.Lost, `unknown field "machine.registries.config.n.example.tls.insecure"`)
	if len(content.Lost) != 4 || strings.Contains(strings.Join(content.Lost, ""), "hunter2") {
		t.Errorf("lost %q", content.Lost)
	}
	for _, kind := range []string{"RegistryTLSConfig\nca: x\nclientIdentity: {crt: x}\ninsecureSkipVerify: true", "RegistryAuthConfig\nusername: a\npassword: b\nauth: c\nidentityToken: d"} {
		content, err := mirrorfiles.TalosDocument(toJSON(t, "apiVersion: v1alpha1\nname: a.io\nkind: "+kind))
		if err != nil || len(content.Lost) > 0 || len(content.Elsewhere) == 0 {
			t.Error(kind, err, content)
		}
	}
}
