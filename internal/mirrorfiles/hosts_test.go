// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/mirrorfiles"
)

// asked are the places that containerd asks for an image. test/cluster/runtime holds testdata/hosts.json against containerd
// itself. A place that no set can name is null.
type asked struct {
	Digest  []*string `json:"digest"`
	Tag     []*string `json:"tag"`
	LeftOut string    `json:"leftOut"`
}

// TestHostsFilesMeanTheSameOrAreLeftOut is about testdata/hosts.
func TestHostsFilesMeanTheSameOrAreLeftOut(t *testing.T) {
	data, err := os.ReadFile("testdata/hosts.json")
	if err != nil {
		t.Fatal(err)
	}
	var images map[string]asked
	if err := json.Unmarshal(data, &images); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/hosts/*/hosts.toml")
	if err != nil || len(files) != len(images) {
		t.Fatalf("%d files for %d images, error %v", len(files), len(images), err)
	}
	all := &mirrorfiles.Content{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		content := mirrorfiles.Hosts(certsd.HostOf(filepath.Base(filepath.Dir(file))), text)
		all.Entries, all.Lost = append(all.Entries, content.Entries...), append(all.Lost, content.Lost...)
		all.Elsewhere, all.Ignored = append(all.Elsewhere, content.Elsewhere...), append(all.Ignored, content.Ignored...)
	}
	rules := merged(all).Rules
	for image, want := range images {
		host, _, _ := strings.Cut(image, "/")
		if want.LeftOut != "" {
			if slices.Contains(sources(all), host) {
				t.Errorf("%s has an entry", host)
			}
			says(t, all.Lost, strings.Replace(host, "unnamed.example", "_default", 1), want.LeftOut)
			continue
		}
		for suffix, wanted := range map[string][]*string{digest: want.Digest, ":1": want.Tag} {
			names := make([]string, len(wanted))
			for i, name := range wanted {
				names[i] = strings.Replace(*name, "registry-1.docker.io", "docker.io", 1)
			}
			got := slices.DeleteFunc(places(t, rules, image+suffix), func(place string) bool { return strings.HasPrefix(place, mirrorfiles.Blocked+"/") })
			if !slices.Equal(got, names) {
				t.Errorf("%s%s comes from %q, want %q", image, suffix, got, names)
			}
		}
	}
	says(t, all.Elsewhere, "--insecure-registry=second.example:5000")
	says(t, all.Elsewhere, "--insecure-registry=fourth.example")
	says(t, all.Elsewhere, "TLS files", "/etc/containers/certs.d/first.example")
	says(t, all.Elsewhere, "headers for endpoint \"http://second.example:5000\"")
	says(t, all.Ignored, `unknown setting "host.fourth.example.unknown_setting"`)
}

func TestAHostsFileThatContainerdIgnoresIsLeftOut(t *testing.T) {
	for text, why := range map[string]string{
		"server = ": "line 1",
		"\n[host.\"https://m.example\"]\ncapabilities = \"pull\"":                                    "line 3",
		"[host.\"https://m.example\"]\ncapabilities = [\"pull\", \"teleport\"]":                      `the capability "teleport" does not exist`,
		"[host.\"https://me:hunter2@m.example\"]\n":                                                  "credentials",
		"[host.\"https://m.example\"]\n[host.\"https://m.example\".rewrite]\n\"^a-(.*)\" = \"b/$1\"": `rewrite "^a-(.*)" to "b/$1"`,
	} {
		content := mirrorfiles.Hosts("quay.io", []byte(text))
		if len(content.Entries) > 0 {
			t.Errorf("%s: entries %v", text, content.Entries)
		}
		says(t, content.Lost, `registry "quay.io" is left out`, why)
		if strings.Contains(strings.Join(content.Lost, ""), "hunter2") || strings.Contains(strings.Join(content.Lost, ""), "mirrorfiles") {
			t.Errorf("%s: %q", text, content.Lost)
		}
	}
}

func TestTheRewritesOfK3sInAHostsFileCount(t *testing.T) {
	content := mirrorfiles.Hosts("docker.io", []byte("[host.\"https://m.example/v2\"]\ncapabilities = [\"pull\", \"resolve\"]\n[host.\"https://m.example/v2\".rewrite]\n\"^(.*)$\" = \"hub/$1\"\n[host.\"https://n.example\"]\n"))
	want := []string{"m.example/hub/library/alpine", "n.example/library/alpine", "docker.io/library/alpine"}
	if got := places(t, merged(content).Rules, "alpine:1"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q; lost %q", got, want, content.Lost)
	}
}

func TestSettingsOfAHostsFileAreNamedWhetherItIsLeftOutOrNot(t *testing.T) {
	const settings = "ca = 'ca.crt'\nskip_verify = true\ndial_timeout = '3s'\n[header]\nx = 'hunter2'\n"
	for _, host := range []string{"quay.io", certsd.DefaultHost} {
		content := mirrorfiles.Hosts(host, []byte(settings+"[host.\"https://m.example/odd\"]\nclient = 'c.pem'\ndial_timeout = '3s'\n[host.\"https://m.example/odd\".header]\nx = 'hunter2'\n"))
		if len(content.Entries) > 0 || len(content.Lost) != 1 {
			t.Errorf("%s: %v, %q", host, content.Entries, content.Lost)
		}
		for _, parts := range [][]string{
			{"TLS files of \"" + host + "\""}, {"registry \"" + host + "\" is reached without TLS checks", "--insecure-registry=" + host}, {"headers for registry \"" + host + "\""}, {"dial_timeout of registry \"" + host + "\""},
			{"TLS files of \"https://m.example/odd\"", "/etc/containers/certs.d/m.example on"}, {"headers for endpoint \"https://m.example/odd\""}, {"dial_timeout of endpoint \"https://m.example/odd\""},
		} {
			says(t, content.Elsewhere, parts...)
		}
		if strings.Contains(strings.Join(content.Elsewhere, ""), "hunter2") {
			t.Errorf("%q", content.Elsewhere)
		}
	}
}
