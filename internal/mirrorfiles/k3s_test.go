// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrorfiles"
)

func TestNodesWithoutADefaultEndpointNeverContactTheSource(t *testing.T) {
	for _, tt := range []struct {
		name      string
		endpoints []string
		want      []string
		lost      string
	}{
		{"a mirror", []string{"https://m.example"}, []string{"m.example/library/alpine"}, ""},
		{"the source last", []string{"https://m.example", "https://registry-1.docker.io"}, []string{"m.example/library/alpine", "docker.io/library/alpine"}, ""},
		{"the source first", []string{"https://registry-1.docker.io", "https://m.example"}, nil, "the runtime contacts the registry itself before a mirror"},
	} {
		content, err := mirrorfiles.K3s(toJSON(t, yamlOf("docker.io", tt.endpoints, nil)), true)
		if err != nil {
			t.Fatal(err)
		}
		if tt.lost != "" {
			says(t, content.Lost, tt.lost)
			continue
		}
		for _, suffix := range []string{digest, ":1"} {
			if got := places(t, merged(content).Rules, "docker.io/library/alpine"+suffix); !slices.Equal(got, tt.want) {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
		}
	}
}

func TestWhatK3sPassesOverIsNoted(t *testing.T) {
	content, err := mirrorfiles.K3s(toJSON(t, `
mirrors:
  docker.io: {endpoint: ["http://m.example:4566"], endpoints: [x]}
  docker.io/library: {endpoint: ["https://m.example"]}
  "*": {endpoint: ["https://m.example"]}
  embedded.example:
configs:
  "m.example:4566": {tls: {insecure: true}}
  "https://n.example/v2": {tls: {insecure_skip_verify: true, ca_file: /x}, auth: {password: hunter2}}
`), false)
	if err != nil {
		t.Fatal(err)
	}
	if got := sources(content); !slices.Equal(got, []string{"docker.io"}) {
		t.Errorf("sources %q", got)
	}
	says(t, content.Ignored, `unknown field "configs.m.example:4566.tls.insecure"`, "k3s ignores it")
	says(t, content.Ignored, `unknown field "mirrors.docker.io.endpoints"`)
	says(t, content.Lost, `"docker.io/library"`, "whole registries")
	says(t, content.Lost, `"*"`, "no source matches all registries")
	says(t, content.Lost, `"embedded.example"`, "it has no endpoint")
	says(t, content.Elsewhere, "--insecure-registry=m.example:4566")
	says(t, content.Elsewhere, "--insecure-registry=n.example")
	says(t, content.Elsewhere, "/etc/containers/certs.d/n.example ")
	says(t, content.Elsewhere, "credentials for")
}

func TestErrorsNameTheFieldAndNoGoType(t *testing.T) {
	for text, want := range map[string]string{
		"mirrors: {docker.io: {endpoint: 'https://m.example'}}": `field "mirrors.docker.io.endpoint" is a text; it must be a list`,
		"mirrors: [docker.io]": `field "mirrors" is a list; it must be a mapping`,
		"configs: {m.example: {tls: {insecure_skip_verify: 'true'}}}": `field "configs.m.example.tls.insecure_skip_verify" is a text; it must be true or false`,
		"mirrors: {docker.io: {endpoint: [{}]}}":                      `field "mirrors.docker.io.endpoint[0]" is a mapping; it must be a text`,
	} {
		_, err := mirrorfiles.K3s(toJSON(t, text), false)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Go ") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestSecretsAreNeverSaid(t *testing.T) {
	content, err := mirrorfiles.K3s(toJSON(t, `{"mirrors": {"s.com": {"endpoint": ["https://me:hunter2@m.com"]}, "t.com": {"endpoint": ["hunter2:// x"]}, "u.com": {"endpoint": ["https://m.com"]}},
		"configs": {"m.com": {"auth": {"password": "hunter2", "token": {"x": "hunter2"}}}}, "auths": {"n.com": "hunter2"}}`), false)
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(slices.Concat(content.Lost, content.Elsewhere, content.Ignored), "\n")
	if strings.Contains(said, "hunter2") || strings.Count(said, "credentials") < 3 || !slices.Equal(sources(content), []string{"u.com"}) {
		t.Errorf("sources %q, said:\n%s", sources(content), said)
	}
}
