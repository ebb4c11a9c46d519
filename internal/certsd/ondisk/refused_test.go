// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package ondisk_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/certsd/ondisk"
	"github.com/mirrorset/mirrorset/internal/hostfile"
)

// refused is what is said of a registry's folder with these files.
func refused(t *testing.T, files map[string]string) error {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		name = filepath.Join(root, "s.com", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, err := hostfile.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	return ondisk.At(host, ".").Refused("s.com")
}

// The cases begin with what containerd makes of them, which test/cluster/runtime holds against the real one.
func TestAFileThatContainerdIgnoresIsRefused(t *testing.T) {
	files, err := filepath.Glob("../testdata/refused/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no cases, error %v", err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		ignored := strings.HasPrefix(string(content), "# containerd: ignored") && filepath.Base(name) != "comment-only.toml" // which says nothing
		err = refused(t, map[string]string{"hosts.toml": string(content)})
		if (err != nil) != ignored {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "ondisk.") {
			t.Errorf("%s: the message names a type of ours: %v", name, err)
		}
	}
}

func TestWhatAFileOfOthersSaysIsReadAsContainerdDoes(t *testing.T) {
	const top = "server = \"https://m.com\"\n"
	for text, want := range map[string]string{
		"":                                       "",
		top + "ca = \"/etc/hosts.toml.ca\"":      "/etc/hosts.toml.ca",
		top + "ca = \"ca.crt\"":                  "",
		top + "ca = [\"ca.crt\", \"other.crt\"]": "other.crt",
		top + "ca = 3":                           "ca is no file name",
		top + "client = [[\"ca.crt\", \"ca.crt\"]]":                                  "",
		top + "client = [[\"ca.crt\"]]":                                              "client is no file name",
		top + "client = [[\"ca.crt\", \"x.key\"]]":                                   "x.key",
		top + "dial_timeout = \"soon\"":                                              "dial_timeout",
		top + "dial_timeout = \"3s\"":                                                "",
		top + "[host.\"https://m.com\"]\ncapabilities = [\"Pull\"]":                  "",
		top + "[host.\"https://m.com\"]\ncapabilities = [\"pul\"]":                   `host "https://m.com": there is no capability "pul"`,
		top + "[host.\"https://m.com\"]\n[host.\"https://m.com\".header]\nx = 1":     `header "x"`,
		top + "[host.\"https://m.com\"]\n[host.\"https://m.com\".header]\nx = \"1\"": "",
		"server = \"https://m com:%\"":                                               "is no address",
	} {
		err := refused(t, map[string]string{"hosts.toml": text, "ca.crt": ""})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if err := refused(t, map[string]string{"ca.crt": ""}); err != nil {
		t.Errorf("a folder in Docker's way: %v", err)
	}
}
