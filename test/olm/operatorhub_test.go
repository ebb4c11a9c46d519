// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/operator-framework/operator-registry/alpha/declcfg"
	"sigs.k8s.io/yaml"
)

// community plays the pipeline of a repository of community operators: it enters each submitted bundle into the template.
type community struct {
	t    *testing.T
	dir  string // a checkout, with our catalog
	repo string // what was submitted so far

	Package  declcfg.Package
	Channels []declcfg.Channel
}

// The catalog that comes of the submissions of several releases has the same upgrades as our own.
func TestOperatorHubOffersWhatOurCatalogDoes(t *testing.T) {
	c := newCommunity(t)
	c.bundle("0.1.0-rc.0", "candidate", "-out", c.dir) // which is not submitted
	if out, err := c.run("0.1.0-rc.1", "candidate", "-operatorhub", "-first", "-catalogs", "latest", "-out", t.TempDir()); err == nil || !strings.Contains(out, "want a release that is no candidate") {
		t.Errorf("a candidate as the first submission: %v: %s", err, out)
	}
	for _, catalogs := range []string{"", " ", "v4.17,v4.18"} {
		if out, err := c.run("0.1.0", "stable", "-operatorhub", "-catalogs", catalogs, "-out", t.TempDir()); err == nil || !strings.Contains(out, "OPERATORHUB_CATALOGS="+catalogs+": want") {
			t.Errorf("catalogs %q: %v: %s", catalogs, err, out)
		}
	}
	for i, release := range []struct{ version, channels string }{
		{"0.1.0", "candidate,fast,stable"},
		{"0.2.0-rc.0", "candidate"},
		{"0.2.0", "candidate,fast"},
		{"0.2.1", "candidate,fast,stable"},
	} {
		c.submit(release.version, release.channels, i == 0)
		c.bundle(release.version, release.channels, "-out", c.dir)
		ours := c.catalog()
		dropUnsubmitted(ours)
		theirs := &declcfg.DeclarativeConfig{Packages: []declcfg.Package{c.Package}, Channels: c.Channels, Bundles: ours.Bundles}
		if !reflect.DeepEqual(c.Channels, ours.Channels) {
			t.Errorf("after %s their channels are\n%+v\nand ours\n%+v", release.version, c.Channels, ours.Channels)
		}
		var text bytes.Buffer
		if err := declcfg.WriteYAML(*theirs, &text); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "catalog.yaml"), text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if said, err := opm(t, "validate", dir); err != nil {
			t.Errorf("after %s: %s", release.version, said)
		}
	}
}

// dropUnsubmitted takes the candidate before the first submission out of our catalog.
func dropUnsubmitted(ours *declcfg.DeclarativeConfig) {
	const candidate = "mirrorset.v0.1.0-rc.0"
	for i := range ours.Channels {
		ours.Channels[i].Entries = slices.DeleteFunc(ours.Channels[i].Entries, func(e declcfg.ChannelEntry) bool { return e.Name == candidate })
		for j := range ours.Channels[i].Entries {
			if e := &ours.Channels[i].Entries[j]; e.Replaces == candidate {
				e.Replaces = ""
			}
		}
	}
	ours.Bundles = slices.DeleteFunc(ours.Bundles, func(b declcfg.Bundle) bool { return b.Name == candidate })
}

func newCommunity(t *testing.T) *community {
	c := &community{t: t, dir: t.TempDir(), repo: t.TempDir()}
	for _, file := range []string{"config/samples/10-site.yaml", "config/manifests/icon.svg"} {
		content, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		c.write(filepath.Join(c.dir, file), content)
	}
	manifests, err := exec.CommandContext(t.Context(), "../../bin/kustomize", "build", "../../config/manifests").Output()
	if err != nil {
		t.Fatal(err)
	}
	c.write(filepath.Join(c.dir, "manifests.yaml"), manifests)
	c.write(filepath.Join(c.dir, "catalog/mirrorset/catalog.yaml"), nil)
	program := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(c.dir, "program"), "./hack/bundle")
	program.Dir = "../.."
	if out, err := program.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return c
}

// run runs what make bundle and make operatorhub run.
func (c *community) run(version, channels string, args ...string) (out string, err error) {
	c.t.Helper()
	manifests, err := os.ReadFile(filepath.Join(c.dir, "manifests.yaml"))
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.CommandContext(c.t.Context(), filepath.Join(c.dir, "program"), append([]string{"-root", c.dir, "-version", "v" + version, "-channels", channels, "-image", "registry.example/bundle:" + version}, args...)...)
	cmd.Dir, cmd.Stdin = c.dir, bytes.NewReader(manifests)
	said, err := cmd.CombinedOutput()
	return string(said), err
}

func (c *community) bundle(version, channels string, args ...string) {
	c.t.Helper()
	if out, err := c.run(version, channels, args...); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
}

// submit adds a release to the repository, as the pull request would, and has the pipeline merge it.
func (c *community) submit(version, channels string, first bool) {
	c.t.Helper()
	args := []string{"-operatorhub", "-catalogs", "v4.17 v4.18", "-out", c.repo}
	if first {
		args = append(args, "-first")
	}
	c.bundle(version, channels, args...)
	root := filepath.Join(c.repo, "operators/mirrorset")
	c.read(filepath.Join(root, version, "metadata/annotations.yaml"), &map[string]any{})
	if errs, _ := judge(c.t, filepath.Join(root, version)); len(errs) > 0 {
		c.t.Errorf("the submitted bundle: %q", errs)
	}
	var config struct {
		Templates []struct {
			Name     string   `json:"template_name"`
			Channels []string `json:"channels"`
			Replaces string   `json:"replaces"`
		} `json:"catalog_templates"`
	}
	c.read(filepath.Join(root, version, "release-config.yaml"), &config)
	if first {
		c.begin(root)
	}
	if _, err := os.Stat(filepath.Join(root, "ci.yaml")); (err == nil) != first {
		c.t.Errorf("the pull request of %s, the first: %v, has a ci.yaml: %v", version, first, err == nil)
	}
	if err := os.RemoveAll(filepath.Join(root, "ci.yaml")); err != nil {
		c.t.Fatal(err)
	}
	for _, template := range config.Templates {
		for _, channel := range template.Channels {
			i := slices.IndexFunc(c.Channels, func(known declcfg.Channel) bool { return known.Name == channel })
			if i < 0 {
				i = len(c.Channels)
				c.Channels = append(c.Channels, declcfg.Channel{Schema: declcfg.SchemaChannel, Name: channel, Package: c.Package.Name})
			}
			c.Channels[i].Entries = append(c.Channels[i].Entries, declcfg.ChannelEntry{Name: "mirrorset.v" + version, Replaces: template.Replaces})
		}
	}
}

// begin reads what only the first pull request has.
func (c *community) begin(root string) {
	c.t.Helper()
	var config struct {
		FBC struct {
			Enabled bool `json:"enabled"`
			Mapping []struct {
				Template string   `json:"template_name"`
				Catalogs []string `json:"catalog_names"`
				Type     string   `json:"type"`
			} `json:"catalog_mapping"`
		} `json:"fbc"`
	}
	c.read(filepath.Join(root, "ci.yaml"), &config)
	if m := config.FBC.Mapping; !config.FBC.Enabled || len(m) != 1 || m[0].Type != "olm.template.basic" || strings.Join(m[0].Catalogs, " ") != "v4.17 v4.18" {
		c.t.Fatalf("ci.yaml says %+v", config)
	}
	template := filepath.Join(root, "catalog-templates", config.FBC.Mapping[0].Template)
	rendered, err := opm(c.t, "alpha", "render-template", "basic", template, "-o", "yaml")
	if err != nil {
		c.t.Fatal(rendered)
	}
	catalog, err := declcfg.LoadReader(strings.NewReader(rendered))
	if err != nil {
		c.t.Fatal(err)
	}
	c.Package = catalog.Packages[0]
}

// catalog is our own, as it is now.
func (c *community) catalog() *declcfg.DeclarativeConfig {
	c.t.Helper()
	content, err := os.ReadFile(filepath.Join(c.dir, "catalog/mirrorset/catalog.yaml"))
	if err != nil {
		c.t.Fatal(err)
	}
	catalog, err := declcfg.LoadReader(bytes.NewReader(content))
	if err != nil {
		c.t.Fatal(err)
	}
	return catalog
}

func (c *community) read(file string, into any) {
	c.t.Helper()
	content, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(content, into)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *community) write(file string, content []byte) {
	c.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		c.t.Fatal(err)
	}
}
