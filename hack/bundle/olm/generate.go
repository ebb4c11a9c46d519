// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package olm makes the bundle and the catalog that OLM installs Mirrorset from, out of the output of kustomize. It checks their
// rules.
package olm

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/blang/semver/v4"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// PackageName is the operator's name in catalogs.
const PackageName = "mirrorset"

// Input is what a bundle is made from.
type Input struct {
	// Objects are what kustomize prints of config/manifests.
	Objects []*unstructured.Unstructured
	// Version is that of the bundle, without a v.
	Version semver.Version
	// Channels are those that the bundle is released to.
	Channels []string
	// DefaultChannel is the one that who names none gets.
	DefaultChannel string
	// Replaces is the name of the bundle before this one, if there is one.
	Replaces string
	// CreatedAt is when the release was made, which is left out if it is empty.
	CreatedAt string
	// Sample is a manifest of the set that people begin with.
	Sample []byte
	// Icon is an SVG.
	Icon []byte
}

// Generate returns the bundle's files by their paths.
func Generate(in Input) (map[string][]byte, error) {
	g := generator{in: in, permissions: map[string][]any{}, clusterPermissions: map[string][]any{}}
	for _, object := range in.Objects {
		if err := g.sort(object); err != nil {
			return nil, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	if g.csv == nil || g.namespace == nil || g.deployment == nil || g.scorecard == nil {
		return nil, fmt.Errorf("the manifests want one ClusterServiceVersion, one Namespace, one Deployment and one Configuration of the scorecard")
	}
	if err := g.grant(); err != nil {
		return nil, err
	}
	if err := g.complete(); err != nil {
		return nil, err
	}
	return g.files()
}

// generator holds the objects by what becomes of them.
type generator struct {
	in                              Input
	csv, namespace, deployment      *unstructured.Unstructured
	scorecard                       *unstructured.Unstructured
	accounts                        []string
	roles, bindings                 []*unstructured.Unstructured
	permissions, clusterPermissions map[string][]any // rules by account
	crds                            []*apiextensionsv1.CustomResourceDefinition
	manifests                       []*unstructured.Unstructured
}

func (g *generator) sort(object *unstructured.Unstructured) error {
	one := func(place **unstructured.Unstructured) error {
		if *place != nil {
			return fmt.Errorf("there is %s already, and a bundle has room for one", (*place).GetName())
		}
		*place = object
		return nil
	}
	switch object.GetKind() {
	case "ClusterServiceVersion":
		return one(&g.csv)
	case "Namespace":
		return one(&g.namespace)
	case "Deployment":
		return one(&g.deployment)
	case "Configuration": // what operator-sdk's scorecard tests, which is nothing that OLM applies
		return one(&g.scorecard)
	case "ServiceAccount": // OLM makes those that have permissions, and validators refuse their manifests
		g.accounts = append(g.accounts, object.GetName())
	case "Role", "ClusterRole":
		g.roles = append(g.roles, object)
	case "RoleBinding", "ClusterRoleBinding":
		g.bindings = append(g.bindings, object)
	case "CustomResourceDefinition":
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, crd); err != nil {
			return err
		}
		g.crds = append(g.crds, crd)
		g.manifests = append(g.manifests, object)
	default:
		g.manifests = append(g.manifests, object)
	}
	return nil
}

// complete writes into the ClusterServiceVersion what people did not.
func (g *generator) complete() error {
	name := PackageName + ".v" + g.in.Version.String()
	g.csv.SetName(name)
	g.csv.SetNamespace("")
	images, err := images(g.deployment)
	if err != nil {
		return err
	}
	if err := g.annotate(images); err != nil {
		return err
	}
	spec, ok := g.csv.Object["spec"].(map[string]any)
	if !ok {
		return fmt.Errorf("the ClusterServiceVersion has no spec")
	}
	spec["version"] = g.in.Version.String()
	if g.in.Replaces != "" {
		spec["replaces"] = g.in.Replaces
	}
	spec["icon"] = []any{map[string]any{"base64data": base64.StdEncoding.EncodeToString(g.in.Icon), "mediatype": "image/svg+xml"}}
	spec["description"] = fmt.Sprintf("%s\n```yaml\n%s```\n", spec["description"], g.in.Sample)
	var related []any
	for _, image := range images {
		related = append(related, map[string]any{"name": image.Name, "image": image.Image})
	}
	spec["relatedImages"] = related
	deployment := map[string]any{"name": g.deployment.GetName(), "label": asAny(g.deployment.GetLabels()), "spec": g.deployment.Object["spec"]}
	install := map[string]any{
		"deployments": []any{deployment}, "permissions": permissionsOf(g.permissions), "clusterPermissions": permissionsOf(g.clusterPermissions),
	}
	if err := unstructured.SetNestedMap(spec, install, "install", "spec"); err != nil {
		return err
	}
	return g.own()
}

func (g *generator) annotate(images []RelatedImage) error {
	template := g.namespace.DeepCopy()
	template.SetAnnotations(nil)
	namespace, err := json.Marshal(template)
	if err != nil {
		return err
	}
	sample, err := yaml.YAMLToJSON(g.in.Sample)
	if err != nil {
		return fmt.Errorf("the sample: %w", err)
	}
	annotations := g.csv.GetAnnotations()
	annotations["containerImage"] = images[0].Image
	annotations["operatorframework.io/suggested-namespace"] = g.namespace.GetName()
	annotations["operatorframework.io/suggested-namespace-template"] = string(namespace)
	annotations["operatorframework.io/initialization-resource"] = string(sample)
	if g.in.CreatedAt != "" {
		annotations["createdAt"] = g.in.CreatedAt
	}
	g.csv.SetAnnotations(annotations)
	return nil
}

// own completes the descriptions of the owned CRDs from the CRDs.
func (g *generator) own() error {
	owned, _, err := unstructured.NestedSlice(g.csv.Object, "spec", "customresourcedefinitions", "owned")
	if err != nil {
		return err
	}
	for _, crd := range g.crds {
		i := slices.IndexFunc(owned, func(o any) bool { return o.(map[string]any)["name"] == crd.Name })
		if i < 0 {
			return fmt.Errorf("CustomResourceDefinition %s: spec.customresourcedefinitions.owned of the ClusterServiceVersion does not describe it", crd.Name)
		}
		v := slices.IndexFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Storage })
		description := owned[i].(map[string]any)
		description["kind"], description["version"] = crd.Spec.Names.Kind, crd.Spec.Versions[v].Name
	}
	return unstructured.SetNestedSlice(g.csv.Object, owned, "spec", "customresourcedefinitions", "owned")
}

func (g *generator) files() (map[string][]byte, error) {
	minKubeVersion, _, err := unstructured.NestedString(g.csv.Object, "spec", "minKubeVersion")
	if err != nil {
		return nil, err
	}
	openShifts, err := openShifts(minKubeVersion)
	if err != nil {
		return nil, fmt.Errorf("ClusterServiceVersion: %w", err)
	}
	scorecard, err := yaml.Marshal(g.scorecard.Object)
	if err != nil {
		return nil, err
	}
	facts := facts(strings.Join(g.in.Channels, ","), g.in.DefaultChannel, openShifts)
	files := map[string][]byte{annotationsFile: annotations(facts), scorecardFile: scorecard}
	for _, object := range append(g.manifests, g.csv) {
		object.SetNamespace("") // OLM sets it
		content, err := yaml.Marshal(object.Object)
		if err != nil {
			return nil, err
		}
		files[manifestsFolder+"/"+fileName(object)] = content
	}
	return files, nil
}

func fileName(object *unstructured.Unstructured) string {
	gvk := object.GroupVersionKind()
	switch gvk.Kind {
	case "ClusterServiceVersion":
		return PackageName + ".clusterserviceversion.yaml"
	case "CustomResourceDefinition":
		plural, group, _ := strings.Cut(object.GetName(), ".")
		return group + "_" + plural + ".yaml"
	}
	parts := slices.DeleteFunc([]string{object.GetName(), gvk.Group, gvk.Version, strings.ToLower(gvk.Kind)}, func(s string) bool { return s == "" })
	return strings.Join(parts, "_") + ".yaml"
}

// RelatedImage is an image that the operator is or uses.
type RelatedImage struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

// images returns all that a Deployment names, the operator's own first: those of its containers, and those that the operator
// learns of by its environment.
func images(object *unstructured.Unstructured) ([]RelatedImage, error) {
	var d appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &d); err != nil {
		return nil, err
	}
	var found []RelatedImage
	for _, container := range slices.Concat(d.Spec.Template.Spec.Containers, d.Spec.Template.Spec.InitContainers) {
		found = append(found, RelatedImage{container.Name, container.Image})
		for _, variable := range container.Env {
			if name, ok := strings.CutPrefix(variable.Name, "RELATED_IMAGE_"); ok {
				found = append(found, RelatedImage{strings.ReplaceAll(strings.ToLower(name), "_", "-"), variable.Value})
			}
		}
	}
	return found, nil
}

func asAny(labels map[string]string) map[string]any {
	m := map[string]any{}
	for key, value := range labels {
		m[key] = value
	}
	return m
}
