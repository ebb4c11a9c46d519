// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// Bundle is what one version of the operator is to OLM.
type Bundle struct {
	CSV *CSV
	// Manifests are what OLM applies in addition to the objects that it makes from the CSV.
	Manifests []*unstructured.Unstructured

	raw map[string]any // the CSV
}

// CSV is that part of a ClusterServiceVersion that is looked at here.
type CSV struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Version       string         `json:"version"`
		Replaces      string         `json:"replaces"`
		InstallModes  []InstallMode  `json:"installModes"`
		RelatedImages []RelatedImage `json:"relatedImages"`
		CRDs          struct {
			Owned []OwnedCRD `json:"owned"`
		} `json:"customresourcedefinitions"`
		Install struct {
			Spec struct {
				Deployments        []Deployment  `json:"deployments"`
				Permissions        []Permissions `json:"permissions"`
				ClusterPermissions []Permissions `json:"clusterPermissions"`
			} `json:"spec"`
		} `json:"install"`
	} `json:"spec"`
}

// InstallMode reports whether the operator can serve some set of namespaces.
type InstallMode struct {
	Type      string `json:"type"`
	Supported bool   `json:"supported"`
}

// OwnedCRD is a CRD that the operator brings.
type OwnedCRD struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Version string `json:"version"`
}

// names are the two parts of its name.
func (o OwnedCRD) names() (plural, group string) {
	plural, group, _ = strings.Cut(o.Name, ".")
	return plural, group
}

// Deployment is what OLM makes one from.
type Deployment struct {
	Name  string                `json:"name"`
	Label map[string]string     `json:"label"`
	Spec  appsv1.DeploymentSpec `json:"spec"`
}

// Permissions are the rules of an account.
type Permissions struct {
	ServiceAccountName string              `json:"serviceAccountName"`
	Rules              []rbacv1.PolicyRule `json:"rules"`
}

// Load reads the bundle in a checkout.
func Load(root fs.FS) (*Bundle, error) {
	b := &Bundle{}
	files, err := fs.Glob(root, manifestsFolder+"/*")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if err := b.load(root, file); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	if b.CSV == nil {
		return nil, fmt.Errorf("%s: there is no ClusterServiceVersion", manifestsFolder)
	}
	return b, nil
}

func (b *Bundle) load(root fs.FS, file string) error {
	content, err := fs.ReadFile(root, file)
	if err != nil {
		return err
	}
	object, err := Object(content)
	if err != nil {
		return err
	}
	if object.GetKind() != "ClusterServiceVersion" {
		b.Manifests = append(b.Manifests, object)
		return nil
	}
	b.CSV, b.raw = &CSV{}, object.Object
	return yaml.Unmarshal(content, b.CSV)
}

// Object reads one manifest.
func Object(content []byte) (*unstructured.Unstructured, error) {
	text, err := yaml.YAMLToJSON(content)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(text)
}

// LoadCatalog reads the catalog in a checkout, which is one of no release where there is no file.
func LoadCatalog(root fs.FS) (*Catalog, error) {
	content, err := fs.ReadFile(root, path.Clean(CatalogFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return ReadCatalog(content)
}
