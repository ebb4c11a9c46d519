// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package convert_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// certsD writes files with content, by their paths in a certs.d.
func certsD(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "certs.d")
	for name, text := range files {
		plugintest.WriteFile(t, filepath.Join(dir, name), text, 0o600)
	}
	return dir
}

func TestAFolderWithCertificatesAloneIsNamed(t *testing.T) {
	dir := certsD(t, map[string]string{
		"quay.io/hosts.toml": "[host.\"https://m.example\"]\n", "quay.io/ca.crt": "", // containerd reads no such file beside a hosts.toml
		"r.example_5000_/ca.crt": "", "r.example_5000_/client.cert": "", "r.example_5000_/client.key": "", "empty.example/README": "",
	})
	warning := func(folder string) string {
		return "warning: NotInSets: " + folder + ": the certificates of \"r.example:5000\" (ca.crt, client.cert) cannot be part of a set: keep this folder, because containerd reads them from it\n"
	}
	folder := filepath.Join(dir, "r.example_5000_")
	if r := run(t, "", "-f", dir); r.Code != 0 || r.Stderr != warning(folder) {
		t.Error(r)
	}
	run(t, "", "-f", folder).Want(t, 1, "", warning(folder)+"error: nothing could be converted\n")
	only := certsD(t, map[string]string{"r.example:5000/ca.crt": "", "r.example:5000/client.cert": ""})
	run(t, "", "-f", only).Want(t, 1, "", warning(filepath.Join(only, "r.example:5000"))+"error: nothing could be converted\n")
}

func TestCertificatesBesideManifestsAreNoRegistrys(t *testing.T) {
	dir := certsD(t, map[string]string{"ca.crt": "", "tls/ca.crt": "", "set.yaml": "apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSet\nmetadata: {name: a}\nspec: {imageDigestMirrors: [{source: quay.io, mirrors: [m.example]}]}\n"})
	if r := run(t, "", "-f", dir); r.Code != 0 || r.Stderr != "" {
		t.Error(r)
	}
}

func TestOfTwoFoldersForOneRegistryTheOneThatContainerdReadsCounts(t *testing.T) {
	const hosts = "[host.\"https://m.example\"]\n"
	for first, mirror := range map[string]string{"hosts.toml": "m.example", "ca.crt": ""} { // a folder without a hosts.toml hides the other as well
		dir := certsD(t, map[string]string{"r.example_5000_/" + first: hosts, "r.example:5000/hosts.toml": "[host.\"https://unread.example\"]\n", "quay.io/hosts.toml": hosts})
		hidden := filepath.Join(dir, "r.example:5000")
		note := "note: " + hidden + ": ignored, because for \"r.example:5000\" containerd reads the folder r.example_5000_ next to it and not this one\n"
		r := run(t, "", "-f", dir)
		if r.Code != 0 || strings.Contains(r.Stdout, "unread.example") || !strings.Contains(r.Stderr, note) || strings.Contains(r.Stdout, "source: r.example:5000") != (mirror != "") {
			t.Error(r)
		}
		for _, path := range []string{hidden, filepath.Join(hidden, "hosts.toml")} {
			run(t, "", "-f", path).Want(t, 1, "", note+"error: nothing could be converted\n")
		}
	}
}
