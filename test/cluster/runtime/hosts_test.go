// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package runtime_test compares internal/certsd's reading of hosts.toml with containerd's own loader. It stands in
// this module because that one is heavy; what the two share are the files in internal/certsd/testdata.
package runtime_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
)

const (
	testdata = "../../../internal/certsd/testdata"
	all      = docker.HostCapabilityPull | docker.HostCapabilityResolve | docker.HostCapabilityPush | docker.HostCapabilityReferrers
)

// endpoint is how internal/certsd writes down what it reads.
type endpoint struct {
	Scheme     string `json:"scheme"`
	Host       string `json:"host"`
	Path       string `json:"path"`
	DigestOnly bool   `json:"digestOnly"`
	NoPush     bool   `json:"noPush"`
	SkipVerify bool   `json:"skipVerify"`
}

// load returns what containerd makes of a config_path for one registry.
func load(t *testing.T, root, host string) []endpoint {
	t.Helper()
	options := config.HostOptions{HostDir: config.HostDirFromRoot(root)}
	hosts, err := config.ConfigureHosts(t.Context(), options)(host)
	if err != nil {
		t.Fatal(err)
	}
	read := make([]endpoint, 0, len(hosts))
	for _, h := range hosts {
		transport, ok := h.Client.Transport.(*http.Transport)
		if !ok {
			t.Fatalf("%s://%s goes through a %T, which tries another scheme", h.Scheme, h.Host, h.Client.Transport)
		}
		e := endpoint{Scheme: h.Scheme, Host: h.Host, Path: h.Path, SkipVerify: transport.TLSClientConfig.InsecureSkipVerify}
		isRedirector := strings.Contains(h.Path, "/_mirrorset/")
		switch {
		case h.Capabilities == docker.HostCapabilityPull:
			e.DigestOnly = true
		case h.Capabilities == docker.HostCapabilityPull|docker.HostCapabilityResolve:
			e.NoPush = !isRedirector // through which nothing can be pushed anyhow
		case h.Capabilities != all || isRedirector:
			t.Fatalf("%s://%s%s has capabilities %b", h.Scheme, h.Host, h.Path, h.Capabilities)
		}
		read = append(read, e)
	}
	return read
}

func TestContainerdReadsOurFilesAsWeDo(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(testdata, "*.out"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("found no cases, error %v", err)
	}
	for _, root := range cases {
		data, err := os.ReadFile(filepath.Join(root, "hosts.json"))
		if err != nil {
			t.Fatal(err)
		}
		want := make(map[string][]endpoint)
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		folders, err := filepath.Glob(filepath.Join(root, "certs.d", "*"))
		if err != nil || len(folders) != len(want) || len(want) == 0 {
			t.Errorf("%s: folders %q for hosts %v, error %v", root, folders, want, err)
		}
		for host, hosts := range want {
			if host == "_default" { // what a registry without a folder of its own gets
				host = "any.example"
				hosts[len(hosts)-1] = endpoint{Scheme: "https", Host: host, Path: "/v2"}
			}
			if got := load(t, filepath.Join(root, "certs.d"), host); !reflect.DeepEqual(got, hosts) {
				t.Errorf("%s: %s:\n got  %+v\n want %+v", root, host, got, hosts)
			}
		}
	}
}

// TestContainerdReadsRefusedFilesAsTheySay is about files that our reader refuses. The first line of each is a comment
// that says which registries containerd is left with: "source" is the one that the folder is for, and "ignored" means that
// the file might as well not be there.
func TestContainerdReadsRefusedFilesAsTheySay(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata, "refused", "*.toml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found no files, error %v", err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(data), "\n")
		want := strings.TrimPrefix(first, "# containerd: ")
		if got := registries(t, data); got != strings.Replace(want, "ignored", "source", 1) {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if got := registries(t, nil); got != "source" {
		t.Errorf("an empty file: got %s", got)
	}
}

// registries returns which registries containerd would ask, given a hosts.toml.
func registries(t *testing.T, content []byte) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "source"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "source", "hosts.toml"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	hosts, err := config.ConfigureHosts(t.Context(), config.HostOptions{HostDir: config.HostDirFromRoot(root)})("source")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range hosts {
		name, _, _ := strings.Cut(h.Host, ":")
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// TestContainerdGivesUpWhereItCannotReadAFile is what internal/certsd/ondisk says of these.
func TestContainerdGivesUpWhereItCannotReadAFile(t *testing.T) {
	root := t.TempDir()
	for _, folder := range []string{"folder.com/hosts.toml", "nowhere.com"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "file.com"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("missing", filepath.Join(root, "nowhere.com", "hosts.toml")); err != nil {
		t.Fatal(err)
	}
	options := config.HostOptions{HostDir: config.HostDirFromRoot(root)}
	for host, fails := range map[string]bool{"folder.com": true, "file.com": true, "nowhere.com": false, "else.com": false} {
		if hosts, err := config.ConfigureHosts(t.Context(), options)(host); (err != nil) != fails {
			t.Errorf("%s: hosts %v, error %v", host, hosts, err)
		}
	}
}
