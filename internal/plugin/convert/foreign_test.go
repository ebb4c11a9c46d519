// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package convert_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

const k3s = "mirrors: {quay.io: {endpoint: ['https://m.example']}}\n---\n"

const quaySet = "apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSet\nmetadata: {name: a}\nspec: {imageDigestMirrors: [{source: a.io, mirrors: [m.example]}]}\n"

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}

func TestWhatWasToBeConvertedIsNotPassedOver(t *testing.T) {
	for kind, want := range map[string]string{
		"apiVersion: config.openshift.io/v1\nkind: ImageDigestMirorSet":                  `apiVersion "config.openshift.io/v1" does not have kind ImageDigestMirorSet; write config.openshift.io/v1, kind ImageDigestMirrorSet`,
		"apiVersion: config.openshift.io/v1\nkind: idms":                                 "kind ImageDigestMirrorSet",
		"apiVersion: config.openshift.io/v1\nkind: ImageTagMirorSetList":                 "kind ImageTagMirrorSet",
		"apiVersion: operator.openshift.io/v1alpha1\nkind: ImageContentSourcePolcy":      "write operator.openshift.io/v1alpha1, kind ImageContentSourcePolicy",
		"apiVersion: v1alpha1\nkind: RegistryMirrorConfg":                                "write v1alpha1, kind RegistryMirrorConfig",
		"apiVersion: v1\nkind: RegistryMirrorConfig":                                     "write v1alpha1, kind RegistryMirrorConfig",
		"apiVersion: config.openshift.io/v1\nkind: ImageContentPolicy\nmetadata: {x: y}": "cannot be converted; the kind must be ",
	} {
		r := run(t, k3s+kind, "-f", "-")
		if r.Code != 1 || !strings.Contains(r.Stdout, "quay.io") || !strings.Contains(r.Stderr, "warning: NotConverted: standard input: document 2: ") || !strings.Contains(r.Stderr, want) {
			t.Errorf("%s: exit code %d\n%s%s", kind, r.Code, r.Stdout, r.Stderr)
		}
	}
}

func TestWhatHasSetsIsPassedOverWithAWarning(t *testing.T) {
	policySet := strings.NewReplacer("config.openshift.io/v1", "operator.openshift.io/v1alpha1", "ImageDigestMirrorSet", "ImageContentSourcePolicy").Replace(quaySet)
	for object, want := range map[string]string{
		"apiVersion: template.openshift.io/v1\nkind: Template\nmetadata: {name: t}\nobjects:\n- " + strings.TrimSpace(indented(quaySet)):   `warning: PassedOver: Template "t": standard input: document 2: the ImageDigestMirrorSet at objects[0] is ignored; give the output of oc process -f instead`,
		"apiVersion: template.openshift.io/v1\nkind: Template\nmetadata: {name: t}\nobjects:\n- " + strings.TrimSpace(indented(policySet)): "the ImageContentSourcePolicy at objects[0]",
		"apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: f}":                                             `warning: PassedOver: Kustomization "f": standard input: document 2: the manifests are in its source, which this command does not read`,
		"apiVersion: x.example/v1\nkind: Bundle\nmetadata: {name: b}\ncontent:\n- " + strings.TrimSpace(indented(quaySet)):                 "the ImageDigestMirrorSet at content[0]",
	} {
		r := run(t, k3s+object, "-f", "-")
		if r.Code != 0 || !strings.Contains(r.Stderr, want) || !strings.Contains(r.Stderr, "note: objects of other kinds ignored: 1") {
			t.Errorf("%s: exit code %d\n%s%s", object, r.Code, r.Stdout, r.Stderr)
		}
		if r := run(t, k3s+object, "-f", "-", "--strict"); r.Code != 1 {
			t.Errorf("%s: with --strict, exit code %d", object, r.Code)
		}
	}
	if r := run(t, k3s+"apiVersion: v1\nkind: Pod\nmetadata: {name: p}", "-f", "-", "--strict"); r.Code != 0 {
		t.Errorf("a Pod: exit code %d, %s", r.Code, r.Stderr)
	}
}

func TestARepeatedKeyIsSaid(t *testing.T) {
	text := "mirrors:\n  quay.io: {endpoint: ['https://m.example']}\n  quay.io: {endpoint: ['https://n.example']}\n"
	r := run(t, "# x\n---\n"+text, "-f", "-")
	if r.Code != 0 || !strings.Contains(r.Stdout, "n.example") || !strings.Contains(r.Stderr, `warning: RepeatedField: standard input: document 2: line 5: the key "quay.io" is repeated in this mapping; the last value is used`) {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if r := run(t, k3s+"apiVersion: v1\nkind: Pod\nmetadata: {name: p, name: q}", "-f", "-"); strings.Contains(r.Stderr, "RepeatedField") {
		t.Error(r.Stderr)
	}
}

func TestTheConfigurationOfK3sItselfIsKnown(t *testing.T) {
	for text, want := range map[string]string{
		"system-default-registry: reg.example":                   `NotInSets: standard input: document 2: system-default-registry: k3s and RKE2 name their own images with "reg.example"`,
		"server: https://a.example:9345\ntoken: hunter2":         "it is the configuration of k3s or RKE2 itself",
		"private-registry: /etc/x.yaml":                          `the mirrors of these nodes are in "/etc/x.yaml"; convert that file`,
		"embedded-registry: true":                                "embedded-registry: the nodes share their images with each other",
		"tls-san: [a]\ndisable-default-registry-endpoint: false": "this conversion uses only its setting disable-default-registry-endpoint",
	} {
		r := run(t, k3s+text, "-f", "-")
		if r.Code != 0 || !strings.Contains(r.Stderr, want) || strings.Contains(r.Stderr, "hunter2") {
			t.Errorf("%s: exit code %d\n%s", text, r.Code, r.Stderr)
		}
	}
	if r := run(t, k3s+"tokens: x", "-f", "-"); r.Code != 1 || !strings.Contains(r.Stderr, "it has no kind") {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
}

func TestAFolderWithNothingToConvert(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "quay.io"), 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, "", "-f", dir).WantError(t, dir+": there is nothing to convert. ", "The folder and its subfolders have no hosts.toml", "registries.conf.d", ".yaml")
	plugintest.WriteFile(t, filepath.Join(dir, "quay.io", "registries.yaml"), "mirrors: {quay.io: {endpoint: ['https://m.example']}}", 0o600)
	if got := run(t, "", "-R", "-f", dir).MustSucceed(t); !strings.Contains(got.Stdout, "m.example") {
		t.Error(got)
	}
}

func TestASetThatNoAPIServerTakesIsLeftOut(t *testing.T) {
	for text, want := range map[string]string{
		strings.Replace(quaySet, "m.example", "m/a:v1", 1):                           `spec.imageDigestMirrors[0].mirrors[0] "m/a:v1": it ends with the tag ":v1"`,
		strings.Replace(quaySet, "m.example", "m.example, m.example", 1):             `"m.example" is repeated`,
		strings.Replace(quaySet, "source: a.io", "source: 'a b'", 1):                 "spec.imageDigestMirrors[0].source",
		strings.Replace(quaySet, "mirrors:", "mirrorSourcePolicy: Foo, mirrors:", 1): "spec.imageDigestMirrors[0].mirrorSourcePolicy",
		strings.Replace(quaySet, "name: a", "name: a, labels: {x: 'a b'}", 1):        "metadata.labels",
		strings.Replace(strings.NewReplacer("config.openshift.io/v1", "operator.openshift.io/v1alpha1", "ImageDigestMirrorSet", "ImageContentSourcePolicy", "imageDigestMirrors", "repositoryDigestMirrors").Replace(quaySet), "name: a", "name: a, annotations: {'x y': z}", 1): "metadata.annotations",
	} {
		r := run(t, k3s+text, "-f", "-")
		if r.Code != 1 || !strings.Contains(r.Stdout, "quay.io") || strings.Contains(r.Stdout, "a.io\n") ||
			!strings.Contains(r.Stderr, "warning: NotConverted: standard input: document 2: Image") || !strings.Contains(r.Stderr, want) {
			t.Errorf("%s: exit code %d\n%s%s", text, r.Code, r.Stdout, r.Stderr)
		}
	}
}
