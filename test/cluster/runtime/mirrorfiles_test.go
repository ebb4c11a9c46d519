// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package runtime_test

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
)

const mirrorfiles = "../../../internal/mirrorfiles/testdata"

// TestContainerdAsksWhereWeSayThatForeignFilesSendIt holds what internal/mirrorfiles makes of files that others wrote against
// containerd, by the places that an image is asked for. A place that is not below /v2 is null.
func TestContainerdAsksWhereWeSayThatForeignFilesSendIt(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(mirrorfiles, "hosts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var images map[string]struct {
		Digest []any `json:"digest"`
		Tag    []any `json:"tag"`
	}
	if err := json.Unmarshal(data, &images); err != nil || len(images) == 0 {
		t.Fatal(len(images), err)
	}
	root := t.TempDir() // for files without the certificate, which is not here
	if err := os.CopyFS(root, os.DirFS(filepath.Join(mirrorfiles, "hosts"))); err != nil {
		t.Fatal(err)
	}
	quay := filepath.Join(root, "quay.io", "hosts.toml")
	text, err := os.ReadFile(quay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(quay, []byte(strings.Replace(string(text), "ca = \"/etc/certs/first.pem\"", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	options := config.HostOptions{HostDir: config.HostDirFromRoot(root)}
	for image, want := range images {
		host, repository, _ := strings.Cut(image, "/")
		hosts, err := config.ConfigureHosts(t.Context(), options)(host)
		if err != nil {
			t.Fatal(err)
		}
		places := func(capabilities docker.HostCapabilities) []any {
			asked := []any{}
			for _, h := range hosts {
				if !h.Capabilities.Has(capabilities) {
					continue
				}
				if below, ok := strings.CutPrefix(path.Join("/", h.Path, repository), "/v2/"); ok {
					asked = append(asked, h.Host+"/"+below)
				} else {
					asked = append(asked, nil)
				}
			}
			return asked
		}
		if got := places(docker.HostCapabilityPull); !reflect.DeepEqual(got, want.Digest) {
			t.Errorf("%s by digest: %q, want %q", image, got, want.Digest)
		}
		if got := places(docker.HostCapabilityPull | docker.HostCapabilityResolve); !reflect.DeepEqual(got, want.Tag) {
			t.Errorf("%s by tag: %q, want %q", image, got, want.Tag)
		}
	}
}
