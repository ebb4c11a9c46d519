// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/hack/bundle/olm"
)

// templateFile is the name of the catalog template in a repository of community operators.
const templateFile = "basic.yaml"

// releaseConfig is the release-config.yaml that makes the pipeline of a repository of community operators add a bundle to catalogs:
// https://redhat-openshift-ecosystem.github.io/operator-pipelines/users/fbc_autorelease
type releaseConfig struct {
	Templates []templateRelease `json:"catalog_templates"`
}

type templateRelease struct {
	TemplateName string   `json:"template_name"`
	Channels     []string `json:"channels"`
	Replaces     string   `json:"replaces,omitempty"`
}

// operatorConfig is the ci.yaml of an operator there, as far as it is needed:
// https://redhat-openshift-ecosystem.github.io/operator-pipelines/users/fbc_workflow
type operatorConfig struct {
	FBC struct {
		Enabled bool             `json:"enabled"`
		Mapping []catalogMapping `json:"catalog_mapping"`
	} `json:"fbc"`
}

type catalogMapping struct {
	TemplateName string   `json:"template_name"`
	Names        []string `json:"catalog_names"`
	Type         string   `json:"type"`
}

// catalogName is that of a catalog of such a repository: "latest", or an OpenShift version.
var catalogName = regexp.MustCompile(`^(latest|v[0-9]+[.][0-9]+)$`)

// submission is what a pull request to a repository of community operators adds: the bundle, and its place in the channels. The first
// one replaces nothing, and has the files that the pipeline keeps up to date afterwards.
func (r release) submission(catalog *olm.Catalog, in olm.Input, files map[string][]byte) (map[string][]byte, error) {
	catalogs := strings.Fields(r.catalogs)
	if len(catalogs) == 0 || slices.ContainsFunc(catalogs, func(name string) bool { return !catalogName.MatchString(name) }) {
		return nil, fmt.Errorf("OPERATORHUB_CATALOGS=%s: want latest, or versions of OpenShift as v4.17, separated by spaces", r.catalogs)
	}
	root := path.Join("operators", olm.PackageName)
	submitted := map[string][]byte{}
	for name, content := range files {
		if inBundle, ok := strings.CutPrefix(name, "bundle/"); ok {
			submitted[path.Join(root, in.Version.String(), inBundle)] = content
		}
	}
	documents := map[string]any{path.Join(root, in.Version.String(), "release-config.yaml"): place(catalog, in, r.first)}
	if r.first {
		if len(in.Version.Pre) > 0 || !slices.Contains(in.Channels, catalog.Package.DefaultChannel) {
			return nil, fmt.Errorf("OPERATORHUB_FIRST with VERSION=%s and CHANNELS=%s: the first submission sets the default channel for good; want a release that is no candidate, in %s", r.version, r.channels, catalog.Package.DefaultChannel)
		}
		var config operatorConfig
		config.FBC.Enabled = true
		config.FBC.Mapping = []catalogMapping{{TemplateName: templateFile, Names: catalogs, Type: "olm.template.basic"}}
		documents[path.Join(root, "ci.yaml")] = config
		documents[path.Join(root, "catalog-templates", templateFile)] = map[string]any{"schema": "olm.template.basic", "entries": []any{catalog.Package}}
	}
	for name, document := range documents {
		content, err := yaml.Marshal(document)
		if err != nil {
			return nil, err
		}
		submitted[name] = content
	}
	return submitted, nil
}

// place says what the bundle replaces in each of its channels, as the catalog does. The pipeline takes one replaced bundle an item.
func place(catalog *olm.Catalog, in olm.Input, first bool) (config releaseConfig) {
	for _, channel := range catalog.Channels {
		if !slices.Contains(in.Channels, channel.Name) {
			continue
		}
		replaces := channel.Entries[len(channel.Entries)-1].Replaces // catalog.Add put the bundle there
		if first {
			replaces = "" // that repository has none of those before
		}
		i := slices.IndexFunc(config.Templates, func(t templateRelease) bool { return t.Replaces == replaces })
		if i < 0 {
			i = len(config.Templates)
			config.Templates = append(config.Templates, templateRelease{TemplateName: templateFile, Replaces: replaces})
		}
		config.Templates[i].Channels = append(config.Templates[i].Channels, channel.Name)
	}
	return config
}
