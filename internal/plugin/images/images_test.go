// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/images"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

const digest = "@sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706"

func TestImagesAreReadAsPeopleAndToolsWriteThem(t *testing.T) {
	for text, want := range map[string]string{
		"alpine":                        "docker.io/library/alpine:latest",
		"docker://alpine:3.22":          "docker.io/library/alpine:3.22",
		"docker://quay.io/a/b" + digest: "quay.io/a/b" + digest,
		"quay.io/a/b:v1" + digest:       "quay.io/a/b" + digest,
		"registry.redhat.io/ubi9/ubi" + digest + "=registry.corp.example:8443/ubi9/ubi:latest": "registry.redhat.io/ubi9/ubi" + digest,
		"docker://quay.io/a:v1=docker://localhost:55000/a:v1":                                  "quay.io/a:v1",
		"quay.io/a:v1=file://a:v1":               "quay.io/a:v1",
		"quay.io/a:v1 = registry.corp.example/a": "quay.io/a:v1",
		"docker:latest":                          "docker.io/library/docker:latest",
	} {
		if got, err := images.Parse(text); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"quay.io/a:v1=":             `image "quay.io/a:v1=": nothing follows the =`,
		"oci:///mnt/catalog=m.io/c": `image "oci:///mnt/catalog=m.io/c": oci:// does not name an image in a registry; write HOST/PATH:TAG`,
		"https://quay.io/a":         "https:// does not name an image in a registry",
		"docker://docker://a":       "docker:// does not name an image in a registry",
		"UPPER":                     `image "UPPER"`,
		"=m.io/a":                   `image ""`,
		"":                          `image ""`,
	} {
		if got, err := images.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v; want an error with %q", text, got, err, want)
		}
	}
}

func TestAFileHasAnImageALine(t *testing.T) {
	text := "\ufeff# what we ship\r\n\r\n  quay.io/a:v1  \r\ndocker://quay.io/b:v1\nquay.io/c:v1=m.io/c:v1"
	file := filepath.Join(t.TempDir(), "images")
	plugintest.WriteFile(t, file, text, 0o600)
	for name, stdin := range map[string]string{file: "", "-": text} {
		got, err := images.ReadFile(name, strings.NewReader(stdin))
		if err != nil || len(got) != 3 || got[0].String() != "quay.io/a:v1" || got[1].String() != "quay.io/b:v1" || got[2].String() != "quay.io/c:v1" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestEachLineThatCannotBeReadIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "images")
	for text, want := range map[string][]string{
		"quay.io/a:v1\nUPPER\n# no\noci://x\n":        {file + `: line 2: image "UPPER"`, file + `: line 4: image "oci://x"`},
		"\n" + strings.Repeat("a", 70000) + "\n":      {file + ": line 2: the line has more than 65536 characters, more than any image reference"},
		strings.Repeat("UPPER\n", 13):                 {file + ": line 1:", file + ": line 10:", file + ": 3 lines more cannot be read"},
		"quay.io/a:v1 # the web\n":                    {file + ": line 1:"},
		"apiVersion: v1\nkind: List\nitems: [a, b]\n": {file + ": line 1:", file + ": line 3:"},
	} {
		plugintest.WriteFile(t, file, text, 0o600)
		_, err := images.ReadFile(file, nil)
		if err == nil {
			t.Errorf("%.50q: no error", text)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%.50q: error %q lacks %q", text, err, part)
			}
		}
		if strings.Contains(err.Error(), "line 11:") || strings.Contains(err.Error(), "bufio") {
			t.Errorf("%.50q: error %q", text, err)
		}
	}
	if _, err := images.ReadFile("none", nil); err == nil || err.Error() != "none: no such file or directory" {
		t.Errorf("error %v", err)
	}
	if _, err := images.ReadFile(t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("error %v", err)
	}
}
