// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm_test

import (
	"strings"
	"testing"

	"github.com/blang/semver/v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/hack/bundle/olm"
)

// printed is about what kustomize prints.
const printed = `
{apiVersion: operators.coreos.com/v1alpha1, kind: ClusterServiceVersion, metadata: {name: mirrorset, annotations: {description: D}}, spec: {description: D, minKubeVersion: 1.30.0, customresourcedefinitions: {owned: [{name: nodes.x.io, description: Nodes}]}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: here, labels: {a: b}}}
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: nodes.x.io}, spec: {group: x.io, names: {kind: Node}, versions: [{name: v1, served: true}, {name: v2, served: true, storage: true}]}}
---
{apiVersion: scorecard.operatorframework.io/v1alpha3, kind: Configuration, metadata: {name: config}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: manager, namespace: here}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: one, namespace: here}, rules: [{verbs: [get], resources: [ones]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: two, namespace: here}, rules: [{verbs: [get], resources: [twos]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: all}, rules: [{verbs: [get], resources: [alls]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: people}, rules: [{verbs: [get], resources: [others]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: one, namespace: here}, roleRef: {kind: Role, name: one}, subjects: [{kind: ServiceAccount, name: manager, namespace: here}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: two, namespace: here}, roleRef: {kind: Role, name: two}, subjects: [{kind: ServiceAccount, name: manager, namespace: here}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: all}, roleRef: {kind: ClusterRole, name: all}, subjects: [{kind: ServiceAccount, name: manager, namespace: here}]}
---
{apiVersion: v1, kind: Service, metadata: {name: metrics, namespace: here}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: manager, namespace: here, labels: {c: d}}, spec: {template: {spec: {containers: [{name: m, image: i@sha256:00, env: [{name: RELATED_IMAGE_THE_AGENT, value: a@sha256:11}]}]}}}}
`

func input(t *testing.T, manifests string) olm.Input {
	t.Helper()
	in := olm.Input{
		Version: semver.MustParse("0.2.0"), Channels: []string{"candidate"}, DefaultChannel: "stable", Replaces: "mirrorset.v0.1.0",
		Sample: []byte("kind: Sample\n"), Icon: []byte("<svg/>"),
	}
	for document := range strings.SplitSeq(manifests, "\n---\n") {
		object, err := olm.Object([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		in.Objects = append(in.Objects, object)
	}
	return in
}

func TestGenerateReadsAllFromTheManifests(t *testing.T) {
	in := input(t, printed)
	in.CreatedAt = "2026-11-25T00:00:00Z"
	files, err := olm.Generate(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"bundle/manifests/mirrorset.clusterserviceversion.yaml", "bundle/manifests/x.io_nodes.yaml", "bundle/manifests/metrics_v1_service.yaml",
		"bundle/manifests/people_rbac.authorization.k8s.io_v1_clusterrole.yaml", "bundle/metadata/annotations.yaml", "bundle/tests/scorecard/config.yaml",
	} {
		if len(files[name]) == 0 {
			t.Errorf("there is no %s", name)
		}
	}
	if len(files) != 6 {
		t.Errorf("there are %d files; want 6", len(files))
	}
	csv := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(files["bundle/manifests/mirrorset.clusterserviceversion.yaml"], &csv.Object); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"metadata.name":                        "mirrorset.v0.2.0\n",
		"metadata.annotations":                 "containerImage: i@sha256:00\ncreatedAt: \"2026-11-25T00:00:00Z\"\ndescription: D\noperatorframework.io/initialization-resource: '{\"kind\":\"Sample\"}'\noperatorframework.io/suggested-namespace: here\noperatorframework.io/suggested-namespace-template: '{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"labels\":{\"a\":\"b\"},\"name\":\"here\"}}'\n",
		"spec.version":                         "0.2.0\n",
		"spec.replaces":                        "mirrorset.v0.1.0\n",
		"spec.description":                     "|\n  D\n  ```yaml\n  kind: Sample\n  ```\n",
		"spec.icon":                            "- base64data: PHN2Zy8+\n  mediatype: image/svg+xml\n",
		"spec.relatedImages":                   "- image: i@sha256:00\n  name: m\n- image: a@sha256:11\n  name: the-agent\n",
		"spec.install.spec.permissions":        "- rules:\n  - resources:\n    - ones\n    verbs:\n    - get\n  - resources:\n    - twos\n    verbs:\n    - get\n  serviceAccountName: manager\n",
		"spec.install.spec.clusterPermissions": "- rules:\n  - resources:\n    - alls\n    verbs:\n    - get\n  serviceAccountName: manager\n",
		"spec.customresourcedefinitions.owned": "- description: Nodes\n  kind: Node\n  name: nodes.x.io\n  version: v2\n",
	} {
		value, _, err := unstructured.NestedFieldNoCopy(csv.Object, strings.Split(path, ".")...)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := yaml.Marshal(value); err != nil || string(got) != want {
			t.Errorf("%s is\n%s\nwant\n%s\n%v", path, got, want, err)
		}
	}
}

func TestGenerateRefusesWhatOLMCannotGive(t *testing.T) {
	for name, c := range map[string]struct{ old, text, want string }{
		"two Deployments":             {"kind: Service,", "kind: Deployment,", "Deployment manager: there is metrics already, and a bundle has room for one"},
		"no Deployment":               {"kind: Deployment", "kind: Pod", "want one ClusterServiceVersion, one Namespace, one Deployment and one Configuration"},
		"binding without a role":      {"roleRef: {kind: Role, name: two}", "roleRef: {kind: Role, name: three}", "RoleBinding two: there is no Role three for it"},
		"rights elsewhere":            {"kind: RoleBinding, metadata: {name: two, namespace: here}, roleRef: {kind: Role, name: two}", "kind: RoleBinding, metadata: {name: two, namespace: there}, roleRef: {kind: ClusterRole, name: all}", "RoleBinding two: OLM can give rights by a Role of its own namespace, and in the cluster, and no others"},
		"a ClusterRole bound here":    {"roleRef: {kind: Role, name: two}", "roleRef: {kind: ClusterRole, name: all}", "RoleBinding two: OLM can give rights by a Role"},
		"rights of a user":            {"subjects: [{kind: ServiceAccount, name: manager, namespace: here}]}\n---\n{apiVersion: v1, kind: Service", "subjects: [{kind: User, name: me}]}\n---\n{apiVersion: v1, kind: Service", "ClusterRoleBinding all: User me is no account of this installation"},
		"rights of another's account": {"subjects: [{kind: ServiceAccount, name: manager, namespace: here}]}\n---\n{apiVersion: v1, kind: Service", "subjects: [{kind: ServiceAccount, name: default, namespace: here}]}\n---\n{apiVersion: v1, kind: Service", "ServiceAccount default is no account"},
		"CRD not described":           {"owned: [{name: nodes.x.io", "owned: [{name: other.x.io", "CustomResourceDefinition nodes.x.io: spec.customresourcedefinitions.owned of the ClusterServiceVersion does not describe it"},
		"no scorecard":                {"kind: Configuration", "kind: ConfigMap", "and one Configuration of the scorecard"},
		"a Kubernetes that is none":   {"minKubeVersion: 1.30.0", "minKubeVersion: new", `spec.minKubeVersion "new": want a version of Kubernetes such as 1.30.0`},
		"a Kubernetes too old":        {"minKubeVersion: 1.30.0", "minKubeVersion: 1.12.0", `spec.minKubeVersion "1.12.0"`},
		"rules that are none":         {"rules: [{verbs: [get], resources: [alls]}]", "rules: all", "ClusterRole all: "},
		"binding that is none":        {"roleRef: {kind: Role, name: two}", "roleRef: two", "RoleBinding two: "},
		"CSV without a spec":          {"spec: {description: D, minKubeVersion: 1.30.0, customresourcedefinitions: {owned: [{name: nodes.x.io, description: Nodes}]}}", "data: {}", "the ClusterServiceVersion has no spec"},
	} {
		t.Run(name, func(t *testing.T) {
			manifests := strings.Replace(printed, c.old, c.text, 1)
			if manifests == printed {
				t.Fatalf("there is no %q", c.old)
			}
			if _, err := olm.Generate(input(t, manifests)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v; want one with %s", err, c.want)
			}
		})
	}
}

func TestGenerateRefusesASampleThatIsNone(t *testing.T) {
	in := input(t, printed)
	in.Sample = []byte("kind: [")
	if _, err := olm.Generate(in); err == nil || !strings.Contains(err.Error(), "the sample: ") {
		t.Errorf("the error is %v; want one about the sample", err)
	}
}
