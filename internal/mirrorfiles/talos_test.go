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
	if _, err := mirrorfiles.InstallConfig(toJSON(t, "imageContentSources: [{mirrors: [m.example]}]")); err == nil || !strings.Contains(err.Error(), "imageContentSources[0].source: required") {
		t.Error(err)
	}
}
