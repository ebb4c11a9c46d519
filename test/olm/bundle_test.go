// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package olm_test has upstream's own programs and validators judge the bundle, the catalog and what OperatorHub is offered. Rules that
// they do not have are in hack/bundle/olm.
package olm_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/operators/v1alpha1"
	"github.com/operator-framework/api/pkg/validation"
	interfaces "github.com/operator-framework/api/pkg/validation/interfaces"
	registry "github.com/operator-framework/operator-registry/pkg/lib/bundle"
	"github.com/sirupsen/logrus"
	"sigs.k8s.io/yaml"
)

const (
	bundle = "../../bundle"
	csv    = "manifests/mirrorset.clusterserviceversion.yaml"
	crd    = "manifests/mirrorset.io_mirrornodes.yaml"
)

// validators are all that there are but MultipleArchitecturesValidator, which pulls the images with docker, and
// PackageManifestValidator, which is for a format before bundles.
var validators = interfaces.Validators{
	validation.ClusterServiceVersionValidator,
	validation.CustomResourceDefinitionValidator,
	validation.BundleValidator,
	validation.OperatorHubV2Validator,
	validation.StandardCategoriesValidator,
	validation.StandardCapabilitiesValidator,
	validation.ObjectValidator,
	validation.OperatorGroupValidator,
	validation.CommunityOperatorValidator,
	validation.AlphaDeprecatedAPIsValidator,
	validation.GoodPracticesValidator,
}

// accepted are the warnings that stay, with the reasons.
var accepted = map[string]string{
	"MirrorNode: provided API should have an example annotation": "nobody writes MirrorNodes but the manager, and an example would invite to it",
	"CSV contains permissions to create CRD":                     "the manager brings the CRD of sets where there is none, because OLM would replace OpenShift's (docs/adr/0015)",
}

// judge returns all that the validators say of a bundle, and those that opm has for a bundle's image.
func judge(t *testing.T, dir string) (errs, warnings []string) {
	t.Helper()
	b, err := manifests.GetBundleFromDir(dir)
	if err != nil {
		return []string{err.Error()}, nil
	}
	unpacked := registry.NewImageValidator(nil, logrus.NewEntry(&logrus.Logger{Out: t.Output(), Formatter: &logrus.TextFormatter{}}))
	for _, err := range []error{unpacked.ValidateBundleFormat(dir), unpacked.ValidateBundleContent(filepath.Join(dir, "manifests"))} {
		if err != nil {
			errs = append(errs, err.Error())
		}
	}
	for _, result := range validators.Validate(b.ObjectsToValidate()...) {
		for _, e := range result.Errors {
			errs = append(errs, e.Error())
		}
		for _, w := range result.Warnings {
			warnings = append(warnings, w.Error())
		}
	}
	return errs, warnings
}

func TestUpstreamAcceptsTheBundle(t *testing.T) {
	errs, warnings := judge(t, bundle)
	for _, err := range errs {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, warning := range warnings {
		known := false
		for text := range accepted {
			if strings.Contains(warning, text) {
				known, seen[text] = true, true
			}
		}
		if !known {
			t.Error(warning)
		}
	}
	for text, reason := range accepted {
		if !seen[text] {
			t.Errorf("nobody warns of %q any more, which was accepted because %s", text, reason)
		}
	}
}

func TestTheCSVHasNoFieldsThatOLMDoesNotKnow(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(bundle, csv))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, &v1alpha1.ClusterServiceVersion{}); err != nil {
		t.Error(err)
	}
}

// Each rule of upstream's that this bundle could break, with one change that breaks it.
func TestUpstreamRefusesABrokenBundle(t *testing.T) {
	for name, c := range map[string]struct {
		file, old, new string // file is made where old is empty
		want           string
	}{
		"a name that is none":                   {csv, "name: mirrorset.v", "name: Mirrorset.v", "is invalid"},
		"a replaced name that is none":          {csv, "\n  version: ", "\n  replaces: Mirrorset.v0.0.1\n  version: ", "spec.replaces"},
		"no version":                            {csv, "\n  version: ", "\n  version2: ", "csv.Spec.Version must be set"},
		"no install mode":                       {csv, "- supported: true\n    type: AllNamespaces", "- supported: false\n    type: AllNamespaces", "none of InstallModeTypes are supported"},
		"a Kubernetes version that is none":     {csv, "minKubeVersion: 1.30.0", "minKubeVersion: 1.30", "MinKubeVersion has an invalid value"},
		"an example of a kind that is not ours": {csv, "alm-examples: '[]'", `alm-examples: '[{"apiVersion": "config.openshift.io/v1", "kind": "ImageDigestMirrorSet"}]'`, "example must have a provided API"},
		"an example that is no JSON":            {csv, "alm-examples: '[]'", "alm-examples: '['", "invalid example"},
		"an owned CRD that is not there":        {csv, "name: mirrornodes.mirrorset.io", "name: others.mirrorset.io2", "not found in bundle"},
		"a CRD that is not owned":               {crd, "kind: MirrorNode\n", "kind: Other\n", "present in bundle"},
		"a CRD that Kubernetes would refuse":    {crd, "scope: Cluster", "scope: Everywhere", "spec.scope"},
		"an account that the CSV names":         {"manifests/account.yaml", "", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: mirrorset-manager}\n", "invalid service account found in bundle"},
		"an image that is none":                 {csv, "relatedImages:\n  - image: ghcr.io", "relatedImages:\n  - image: https://ghcr.io", "invalid image pullspec"},
		"no deployment":                         {csv, "      deployments:\n", "      deployments2:\n", "unable to find a deployment"},
		"an icon of another kind":               {csv, "mediatype: image/svg+xml", "mediatype: image/tiff", "does not have a valid mediatype"},
		"a link that is none":                   {csv, "url: https://github.com/mirrorset/mirrorset/tree", "url: github.com/mirrorset/mirrorset/tree", "Links url"},
		"a maintainer whom nobody can write to": {csv, "email: ", "email2: ", "Maintainers elements should contain both name and email"},
		"no provider":                           {csv, "  provider:\n    name: The Mirrorset Authors", "  provider:\n    name: ''", "Provider.Name not specified"},
		"a capability that there is not":        {csv, "capabilities: Full Lifecycle", "capabilities: All", "not a valid capabilities level"},
		"a category that there is not":          {csv, "categories: Integration & Delivery", "categories: Mirrors", "not in the set of standard categories"},
		"a role that changes OpenShift's SCCs":  {"manifests/role.yaml", "", scc, "modify default securitycontextconstraints"},
		"a version that is none":                {csv, "\n  version: 0.1.0-dev", "\n  version: latest", "Invalid character"},
		"an annotation too few":                 {"metadata/annotations.yaml", "  operators.operatorframework.io.bundle.mediatype.v1: registry+v1\n", "", "Missing annotation"},
		"an owned version that is not there":    {csv, "version: v1alpha1", "version: v9", "not found in bundle"},
		"an example that is no object":          {csv, "alm-examples: '[]'", "alm-examples: '[1]'", "cannot unmarshal number"},
		"examples that are no list":             {csv, "alm-examples: '[]'", "alm-examples: '{}'", "error decoding example"},
		"a kind that OLM refuses":               {"manifests/policy.yaml", "", "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: guard}\n", "is not supported type"},
		"a manifest with a namespace":           {"manifests/mirrorset-manager-metrics_v1_service.yaml", "metadata:\n", "metadata:\n  namespace: here\n", "metadata.namespace"},
		"two CSVs":                              {"manifests/second.yaml", "", "apiVersion: operators.coreos.com/v1alpha1\nkind: ClusterServiceVersion\nmetadata: {name: second.v0.1.0}\n", "multiple CSVs"},
		"an owned CRD that nothing describes":   {csv, "    - description: What one", "    - displayName2: What one", "has an empty description"},
		"a channel of no convention":            {"metadata/annotations.yaml", "channels.v1: candidate", "channels.v1: alpha", "naming convention"},
		"an annotation in the wrong case":       {csv, "  annotations:\n", "  annotations:\n    olm.skiprange: <1.0.0\n", "uses wrong case"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(bundle)); err != nil {
				t.Fatal(err)
			}
			text := c.new
			if c.old != "" {
				before, err := os.ReadFile(filepath.Join(dir, c.file))
				if err != nil {
					t.Fatal(err)
				}
				text = strings.Replace(string(before), c.old, c.new, 1)
				if text == string(before) {
					t.Fatalf("%s does not have %q", c.file, c.old)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			errs, warnings := judge(t, dir)
			if all := fmt.Sprint(errs, warnings); !strings.Contains(all, c.want) {
				t.Errorf("upstream says %s; want %q", all, c.want)
			}
		})
	}
}

const scc = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: broken}
rules:
- apiGroups: [security.openshift.io]
  resources: [securitycontextconstraints]
  resourceNames: [privileged]
  verbs: [update]
`
