// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"

	"sigs.k8s.io/yaml"
)

// krewPlugin is what krew installs, in the words of its API.
type krewPlugin struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Metadata   krewMetadata `json:"metadata"`
	Spec       krewSpec     `json:"spec"`
}

type krewMetadata struct {
	Name string `json:"name"`
}

type krewSpec struct {
	Version          string         `json:"version"`
	Homepage         string         `json:"homepage"`
	ShortDescription string         `json:"shortDescription"`
	Description      string         `json:"description"`
	Platforms        []krewPlatform `json:"platforms"`
}

type krewPlatform struct {
	Selector krewSelector `json:"selector"`
	URI      string       `json:"uri"`
	SHA256   string       `json:"sha256"`
	Bin      string       `json:"bin"`
}

type krewSelector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

const pluginDescription = `Shows where Mirrorset's ImageDigestMirrorSets and ImageTagMirrorSets let nodes
pull an image from, reading the sets from manifests or from a cluster. Shows which
nodes have the sets in force, and finds what keeps a node from following them.
`

// krewManifest returns the plugin's manifest, with the checksums of its archives, which are given by name.
func (r release) krewManifest(archives map[string][]byte) ([]byte, error) {
	manifest := krewPlugin{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2",
		Kind:       "Plugin",
		Metadata:   krewMetadata{Name: "mirrors"},
		Spec: krewSpec{
			Version:          r.version,
			Homepage:         "https://" + module,
			ShortDescription: "Show which mirrors images are pulled from",
			Description:      pluginDescription,
		},
	}
	for _, p := range r.platforms {
		sum := sha256.Sum256(archives[archiveName(p)])
		manifest.Spec.Platforms = append(manifest.Spec.Platforms, krewPlatform{
			Selector: krewSelector{MatchLabels: map[string]string{"os": p.os, "arch": p.arch}},
			URI:      "https://" + module + "/releases/download/" + r.version + "/" + archiveName(p),
			SHA256:   hex.EncodeToString(sum[:]),
			Bin:      p.executable(plugin),
		})
	}
	return yaml.Marshal(manifest)
}
