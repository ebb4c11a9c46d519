// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

const (
	policy   = "apiVersion: operator.openshift.io/v1alpha1\nkind: ImageContentSourcePolicy\nmetadata: {name: p}\nspec: {repositoryDigestMirrors: []}\n"
	template = "apiVersion: template.openshift.io/v1\nkind: Template\nmetadata: {name: t}\nobjects:\n- kind: Pod\n" // and more objects
)

func TestWhatLooksLikeASetIsNeverPassedOverInSilence(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a policy", policy, `ImageContentSourcePolicy "p": FILE: document 2: it is not a set, so its mirrors are ignored; to make a set of it, use kubectl mirrors convert`},
		{"a policy in a list", list + indented(policy), `ImageContentSourcePolicy "p": FILE: document 2, items[0]: it is not a set`},
		{"a typed list of policies", "apiVersion: operator.openshift.io/v1alpha1\nkind: ImageContentSourcePolicyList\nitems: []\n", `ImageContentSourcePolicyList "": FILE: document 2: it is not a set`},
		{"a policy of the group's own", "apiVersion: config.openshift.io/v1\nkind: ImageContentPolicy\nmetadata: {name: p}\n", `ImageContentPolicy "p": FILE: document 2: it is not a set`},
		{"a kustomization", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n", `Kustomization "": FILE: document 2: -f does not build a kustomization, and neither does kubectl apply -f; give its directory with -k`},
		{"a kustomization of Flux", "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: f}\n", `Kustomization "f": FILE: document 2: the manifests are in its source, which this command does not read`},
		{"a template", template + indented(setA), `Template "t": FILE: document 2: the ImageDigestMirrorSet at objects[1] is ignored; give the output of oc process -f instead`},
		{"a set in another object", "apiVersion: work.open-cluster-management.io/v1\nkind: ManifestWork\nmetadata: {name: w}\nspec: {workload: {manifests: [{kind: ImageTagMirrorSet}]}}\n",
			`ManifestWork "w": FILE: document 2: the ImageTagMirrorSet at spec.workload.manifests[0] is ignored`},
		{"what was to be a set in another object", template + indented(strings.Replace(setA, "MirrorSet", "Mirrorset", 1)), `the ImageDigestMirrorset at objects[1] is ignored`},
		{"a list that nobody serves", "apiVersion: v1\nkind: FooList\nitems:\n" + indented(setA), `FooList "": FILE: document 2: the ImageDigestMirrorSet at items[0] is ignored`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, t.TempDir(), "x.yaml", setB+"---\n"+tt.text)
			r := run(t, "", "render", "-f", file).MustSucceed(t)
			want := "warning: PassedOver: " + strings.Replace(tt.want, "FILE", file, 1)
			if !strings.HasPrefix(r.Stderr, "warning: PassedOver: ") || !strings.Contains(r.Stderr, want[len("warning: PassedOver: "):]) || strings.Count(r.Stderr, "\n") != 1 {
				t.Errorf("stderr %q, want %q", r.Stderr, want)
			}
			if got := strings.Join(sourcesIn(r.Stdout), " "); got != "t.com" {
				t.Errorf("sources %q", got)
			}
		})
	}
}

func TestAKustomizationIsKnownByItsFile(t *testing.T) {
	folder := t.TempDir()
	file := write(t, folder, "kustomization.yaml", "resources: [a.yaml]\n")
	write(t, folder, "a.yaml", setA)
	run(t, "", "render", "-f", folder, "-o", "registries.conf").MustSucceed(t)
	r := run(t, "", "render", "-f", folder).MustSucceed(t)
	if want := "warning: PassedOver: Kustomization: " + file + ": document 1: -f does not build a kustomization, and neither does kubectl apply -f; give its directory with -k\n"; r.Stderr != want {
		t.Errorf("stderr %q, want %q", r.Stderr, want)
	}
	r = run(t, "", "render", "-k", folder).MustSucceed(t)
	if got := strings.Join(sourcesIn(r.Stdout), " "); got != "s.com" || r.Stderr != "" {
		t.Errorf("sources %q, stderr %q", got, r.Stderr)
	}
}

func TestKindsOfOthersArePassedOver(t *testing.T) {
	for _, kind := range []string{
		"v1 Pod", "mirrorset.io/v1alpha1 MirrorNode", "config.openshift.io/v1 Image", "config.openshift.io/v1 ImagePolicy", "operators.coreos.com/v1alpha1 CatalogSource",
		"v1alpha1 RegistryMirrorConfig", "mirror.openshift.io/v2alpha1 ImageSetConfiguration", "networking.istio.io/v1 MirrorSet", "v1 PodList",
	} {
		version, name, _ := strings.Cut(kind, " ")
		r := run(t, setB+"---\napiVersion: "+version+"\nkind: "+name+"\nmetadata: {name: x}\nspec: {x: 1, x: 2}\n", "render", "-f", "-").MustSucceed(t)
		if r.Stderr != "" {
			t.Errorf("%s: %q", kind, r.Stderr)
		}
	}
}

func TestKeysThatAreThereTwiceAreWarnedOf(t *testing.T) {
	r := run(t, "# x\n"+setA+"spec:\n  imageDigestMirrors:\n  - source: t.com\n    source: u.com\n", "render", "-f", "-").MustSucceed(t)
	want := `warning: RepeatedField: ImageDigestMirrorSet "a": standard input: document 1: line 10: the key "spec" is repeated in this mapping; kubectl uses the last value, and the others are lost` + "\n" +
		`warning: RepeatedField: ImageDigestMirrorSet "a": standard input: document 1: line 13: the key "source" is repeated in this mapping; kubectl uses the last value, and the others are lost` + "\n"
	if got := strings.Join(sourcesIn(r.Stdout), " "); got != "u.com" || r.Stderr != want {
		t.Errorf("sources %q, stderr %q, want %q", got, r.Stderr, want)
	}
}

// JSON has them as one key.
func TestANumberAndItsTextAreOneKey(t *testing.T) {
	for _, keys := range []string{`{1: one, "1": two}`, `{"1": one, 1: two}`} {
		r := run(t, strings.Replace(setA, "name: a", "name: a\n  annotations: "+keys, 1), "render", "-f", "-").MustSucceed(t)
		if want := `"1" is repeated`; !strings.Contains(r.Stderr, want) {
			t.Errorf("%s: stderr %q, want %q", keys, r.Stderr, want)
		}
	}
}

func TestMergeKeysRepeatNothing(t *testing.T) {
	merged := ourType + "metadata: {name: a}\nspec:\n  imageDigestMirrors:\n  - &one {source: s.com}\n  - &two {mirrors: [m.local]}\n  - <<: *one\n    <<: *two\n    source: t.com\n"
	r := run(t, merged, "render", "-f", "-")
	if strings.Contains(r.Stderr, "RepeatedField") {
		t.Error(r.Stderr)
	}
}

func TestWhatServerSideApplyAloneRefusesIsWarnedOf(t *testing.T) {
	for field, text := range map[string]string{
		"spec.imageDigestMirrors[0].mirrorSourcePolicy: the value must be text, and is null": setA + "    mirrorSourcePolicy:\n",
		"spec.imageDigestMirrors: the value must be a list, and is null":                     ourType + "metadata: {name: a}\nspec:\n  imageDigestMirrors:\n",
		"status.revision: the value must be a whole number, and is the text \"x\"":           setA + "status: {revision: x}\n",
	} {
		r := run(t, text, "render", "-f", "-").MustSucceed(t)
		if !strings.HasPrefix(r.Stderr, "warning: RefusedServerSide: a: standard input: document 1: line ") || !strings.Contains(r.Stderr, ": "+field+"; the API server accepts the object from kubectl apply") {
			t.Errorf("%s: stderr %q", field, r.Stderr)
		}
	}
}

// kubectl apply has a copy of the object in an annotation, whose size the API server bounds.
func TestASetTooLargeForClientSideApplyIsWarnedOf(t *testing.T) {
	of := func(size int) string {
		return strings.Replace(setA, "name: a", "name: a\n  annotations: {x: "+strings.Repeat("y", size)+"}", 1)
	}
	for size, warned := range map[int]bool{1000: false, 130000: false, 131000: true, 200000: true} {
		r := run(t, of(size), "render", "-f", "-").MustSucceed(t)
		if strings.Contains(r.Stderr, "warning: TooLargeForApply: a: ") != warned {
			t.Errorf("%d: %q", size, r.Stderr)
		}
	}
}

func TestStrictMakesWarningsErrors(t *testing.T) {
	doubtful := plugintest.Never("a", "s.com", "m.local")
	for _, verb := range [][]string{{"render"}, {"explain", "s.com/x:1"}} {
		args := append(verb, "-f", "-")
		loose := run(t, doubtful, args...).MustSucceed(t)
		strict := run(t, doubtful, append(args, "--strict")...)
		strict.Want(t, 1, loose.Stdout, loose.Stderr+"error: --strict: warnings: 1\n")
		run(t, setA, append(args, "--strict")...).MustSucceed(t)
	}
	r := run(t, plugintest.Documents(doubtful, policy), "render", "-f", "-", "--strict")
	if !strings.HasSuffix(r.Stderr, "error: --strict: warnings: 2\n") || r.Code != 1 {
		t.Errorf("%d %q", r.Code, r.Stderr)
	}
	for _, nothing := range []string{"", "# nothing\n", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"} {
		if r := run(t, nothing, "render", "-f", "-", "--strict"); r.Code != 1 || !strings.HasSuffix(r.Stderr, "error: --strict: there is no set\n") {
			t.Errorf("%q: %d %q", nothing, r.Code, r.Stderr)
		}
	}
	r = run(t, "", "render", "-f", filepath.Join(t.TempDir(), "none"), "--strict")
	r.WantError(t, "no such file or directory")
}
