// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package convert_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/convert"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

func run(t *testing.T, stdin string, args ...string) plugintest.Result {
	t.Helper()
	return plugintest.Run(t, plugintest.Program(convert.Command()), stdin, append([]string{"convert"}, args...)...)
}

const table = "[[registry]]\nlocation = \"quay.io\"\n[[registry.mirror]]\nlocation = \"m.example/quay\"\n"

func TestStandardInputIsReadInAnyLanguage(t *testing.T) {
	for name, text := range map[string]string{
		"registries.conf":        table,
		"registries.yaml":        "mirrors: {quay.io: {endpoint: ['https://m.example/v2/quay']}}",
		"registries.yaml, JSON":  `{"mirrors": {"quay.io": {"endpoint": ["https://m.example/v2/quay"]}}}`,
		"Talos":                  "apiVersion: v1alpha1\nkind: RegistryMirrorConfig\nname: quay.io\nendpoints: [{url: 'https://m.example/v2/quay', overridePath: true}]",
		"a list without kinds":   "apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSetList\nitems: [{metadata: {name: registries}, spec: {imageDigestMirrors: [{source: quay.io, mirrors: [m.example/quay]}]}}]",
		"a policy and a comment": "# nothing\n---\napiVersion: operator.openshift.io/v1alpha1\nkind: ImageContentSourcePolicy\nmetadata: {name: registries}\nspec: {repositoryDigestMirrors: [{source: quay.io, mirrors: [m.example/quay]}]}",
	} {
		r := run(t, text, "-f", "-")
		if r.Code != 0 || !strings.HasPrefix(r.Stdout, "apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSet\nmetadata:\n  name: registries\nspec:\n  imageDigestMirrors:\n  - mirrors:\n    - m.example/quay\n    source: quay.io\n") {
			t.Errorf("%s: exit code %d\n%s%s", name, r.Code, r.Stdout, r.Stderr)
		}
	}
}

func TestSetsThatAreTooLargeForAnyRulesAreAnError(t *testing.T) {
	var sources, locations strings.Builder
	for i := range 600 { // each of the sources inherits each of the mirrors
		fmt.Fprintf(&sources, "  - {source: s.com/%d, mirrors: [d.net]}\n", i)
		fmt.Fprintf(&locations, "t%d.net, ", i)
	}
	const set = "apiVersion: config.openshift.io/v1\nkind: Image%sMirrorSet\nmetadata: {name: a}\nspec:\n  image%[1]sMirrors:\n%s\n---\n"
	text := fmt.Sprintf(set, "Digest", sources.String()) + fmt.Sprintf(set, "Tag", "  - {source: s.com, mirrors: ["+locations.String()+"]}")
	run(t, text, "-f", "-").WantError(t, mirrors.ErrTooLarge.Error())
}

func TestAPipeIsReadOnce(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString("imageDigestSources: [{source: quay.io, mirrors: [m.example/quay]}]"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := run(t, "", "-f", fmt.Sprintf("/dev/fd/%d", r.Fd())).MustSucceed(t); !strings.Contains(got.Stdout, "m.example/quay") {
		t.Error(got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAHostsFileNeedsItsFolder(t *testing.T) {
	run(t, "server = \"https://m.example\"\n", "-f", "-").WantError(t, "standard input: containerd takes the registry's name from the folder")
}

func TestABrokenFileOfARuntimeIsAnError(t *testing.T) {
	dir := t.TempDir()
	plugintest.WriteFile(t, filepath.Join(dir, "registries.conf"), "[[registry]\n", 0o600)
	run(t, "", "-f", filepath.Join(dir, "registries.conf")).WantError(t, filepath.Join(dir, "registries.conf"), "CRI-O and Podman cannot read it")
	plugintest.WriteFile(t, filepath.Join(dir, "registries.conf"), table, 0o600)
	plugintest.WriteFile(t, filepath.Join(dir, "registries.conf.d", "10-x.conf"), "[[registry]]\n", 0o600)
	run(t, "", "-f", dir).WantError(t, dir, "registries.conf.d/10-x.conf", "both location and prefix are unset")
}

func TestWhatMirrorsetWroteIsPassedOver(t *testing.T) {
	dir := t.TempDir()
	plugintest.WriteFile(t, filepath.Join(dir, "quay.io", "hosts.toml"), "# Written by Mirrorset from the ImageDigestMirrorSets of this cluster. Do not edit: changes are undone.\n\n[host.\"https://m.example\"]\n", 0o600)
	r := run(t, "", "-f", dir)
	r.Want(t, 1, "", "note: "+filepath.Join(dir, "quay.io", "hosts.toml")+": ignored, because Mirrorset wrote it from sets\nerror: nothing could be converted\n")
}

func TestNamesAreRepaired(t *testing.T) {
	for name, want := range map[string]string{"My_Policy": "my-policy", "a..b": "a.b", "-x-": "x", "_": "registries", "ü1": "1", strings.Repeat("a", 300): "registries"} {
		run(t, "", "-f", "-", "--name", name).WantError(t, "--name", `such as "`+want+`"`)
	}
}

func TestErrorsHaveNoNamesOfGoTypes(t *testing.T) {
	for _, text := range []string{
		"kind: 7\napiVersion: v1",
		"kind: List\napiVersion: v1\nitems: 7",
		"kind: List\napiVersion: v1\nitems: [7]",
		"machine: 7",
		"imageDigestSources: {a: b}",
		"apiVersion: v1alpha1\nkind: RegistryMirrorConfig\nname: [x]",
		"mirrors: {quay.io: {rewrite: [x]}}",
		"apiVersion: operator.openshift.io/v1alpha1\nkind: ImageContentSourcePolicy\nmetadata: {name: a}\nspec: {repositoryDigestMirrors: {source: a}}",
		"apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSet\nmetadata: {name: a}\nspec: {imageDigestMirrors: 7}",
	} {
		r := run(t, text, "-f", "-")
		if r.Code != 1 || r.Stdout != "" || strings.Contains(r.Stderr, "Go ") || strings.Contains(r.Stderr, "of type") || strings.Contains(r.Stderr, "json:") {
			t.Errorf("%s: exit code %d, %s%s", text, r.Code, r.Stdout, r.Stderr)
		}
	}
}

func TestWhatIsConvertedTogetherIsJudgedTogether(t *testing.T) {
	const never = "apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSet\nmetadata: {name: own}\nspec: {imageDigestMirrors: [{source: corp.example, mirrors: [m.example], mirrorSourcePolicy: NeverContactSource}]}\n"
	dir := t.TempDir()
	a, c := filepath.Join(dir, "a.io", "hosts.toml"), filepath.Join(dir, "c.io", "hosts.toml")
	plugintest.WriteFile(t, a, "server = \"https://m.example\"\n", 0o600)
	plugintest.WriteFile(t, c, "[host.\"https://a.io\"]\n", 0o600)
	for _, tt := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{"mirrors: {docker.io: {endpoint: ['https://corp.example']}, corp.example: {endpoint: ['https://n.example']}}", []string{"-f", "-", "--never-contact-source"}, `standard input: document 1: source "corp.example" is left out`},
		{never + "---\nmirrors: {docker.io: {endpoint: ['https://corp.example']}, quay.io: {endpoint: ['https://n.example']}}", []string{"-f", "-"}, `standard input: document 2: source "docker.io" is left out: its mirror "corp.example" is part of source "corp.example"`},
		{"", []string{"-f", dir}, a + `: source "a.io" is left out: its images are not pulled from the source itself, but the mirror "a.io" of source "c.io" in ` + c},
	} {
		r := run(t, tt.stdin, tt.args...)
		if r.Code != 1 || !strings.Contains(r.Stderr, "warning: NotConverted: "+tt.want) || strings.Contains(r.Stderr, "MirrorBlocked") || !strings.Contains(r.Stdout, "ImageTagMirrorSet") {
			t.Errorf("exit code %d\n%s%s\nwant %s", r.Code, r.Stdout, r.Stderr, tt.want)
		}
	}
}
