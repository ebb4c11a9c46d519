// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package ondisk_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mirrorset/mirrorset/internal/certsd/ondisk"
	"github.com/mirrorset/mirrorset/internal/hostfile"
)

// refused is the error about a registry's folder with these files.
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

// The cases begin with containerd's reaction to them, which test/cluster/runtime compares with the real containerd.
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
		top + "ca = 3":                           "ca is neither a file name",
		top + "client = [[\"ca.crt\", \"ca.crt\"]]":                                  "",
		top + "client = [[\"ca.crt\"]]":                                              "client is neither a file name",
		top + "client = [[\"ca.crt\", \"x.key\"]]":                                   "x.key",
		top + "dial_timeout = \"soon\"":                                              "dial_timeout",
		top + "dial_timeout = \"3s\"":                                                "",
		top + "[host.\"https://m.com\"]\ncapabilities = [\"Pull\"]":                  "",
		top + "[host.\"https://m.com\"]\ncapabilities = [\"pul\"]":                   `host "https://m.com": the capability "pul" does not exist`,
		top + "[host.\"https://m.com\"]\n[host.\"https://m.com\".header]\nx = 1":     `header "x"`,
		top + "[host.\"https://m.com\"]\n[host.\"https://m.com\".header]\nx = \"1\"": "",
		"server = \"https://m com:%\"":                                               "is not a valid address",
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

func TestWhatComesOfAFileThatCannotBeUsedIsSaid(t *testing.T) {
	const itself, fails, unknown = "containerd goes to the registry itself", "each pull from the registry fails", "what containerd does with the file is unknown"
	for name, tc := range map[string]struct {
		make func(folder string) error
		want string
	}{
		"it cannot be parsed": {func(folder string) error { return os.WriteFile(folder+"/hosts.toml", []byte("server ="), 0o600) }, itself},
		"it has a wrong type": {func(folder string) error { return os.WriteFile(folder+"/hosts.toml", []byte("server = 1"), 0o600) }, itself},
		"it has a wrong value": {func(folder string) error {
			return os.WriteFile(folder+"/hosts.toml", []byte("capabilities = [\"x\"]"), 0o600)
		}, itself},
		"it is a folder":       {func(folder string) error { return os.Mkdir(folder+"/hosts.toml", 0o755) }, fails},
		"it leads to a folder": {func(folder string) error { return os.Symlink(".", folder+"/hosts.toml") }, fails},
		"it leads to itself":   {func(folder string) error { return os.Symlink("hosts.toml", folder+"/hosts.toml") }, fails},
		"its folder is a file": {func(folder string) error { return errors.Join(os.Remove(folder), os.WriteFile(folder, nil, 0o600)) }, fails},
		"it leads out of our sight": {func(folder string) error {
			return os.Symlink("../../../../../../../../etc/hostname", folder+"/hosts.toml")
		}, unknown},
		"it is a pipe":     {func(folder string) error { return syscall.Mkfifo(folder+"/hosts.toml", 0o600) }, unknown},
		"it leads nowhere": {func(folder string) error { return os.Symlink("missing", folder+"/hosts.toml") }, ""},
	} {
		d, root := newFolder(t, ".", map[string]string{"s.com/ca.crt": ""})
		if err := errors.Join(os.Remove(root+"/s.com/ca.crt"), tc.make(filepath.Join(root, "s.com"))); err != nil {
			t.Fatal(err)
		}
		if err := d.Refused("s.com"); (err == nil) != (tc.want == "") || err != nil && !strings.HasSuffix(err.Error(), "; "+tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}
