// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// distribution is how a kind of node keeps its containerd.
type distribution struct {
	restart string
	socket  string // below the host's root
	// template is the file that the configuration file is generated from, for each version; empty if people write the configuration file themselves.
	template func(version int) string
}

// distributionOf recognizes the distribution by the path of the configuration file.
func distributionOf(config string) distribution {
	rancher := func(version int) string {
		name := "config-v3.toml.tmpl"
		if version < 3 {
			name = "config.toml.tmpl"
		}
		return "/" + path.Join(path.Dir(config), name)
	}
	switch {
	case strings.Contains(config, "/k3s/agent/"):
		return distribution{"systemctl restart k3s (on agents: k3s-agent)", "run/k3s/containerd/containerd.sock", rancher}
	case strings.Contains(config, "/rke2/agent/"):
		return distribution{"systemctl restart rke2-server (on agents: rke2-agent)", "run/k3s/containerd/containerd.sock", rancher}
	case strings.Contains(config, "/microk8s/"):
		return distribution{"snap restart microk8s.daemon-containerd", "var/snap/microk8s/common/run/containerd.sock", func(int) string {
			return "/" + path.Join(path.Dir(config), "containerd-template.toml")
		}}
	}
	return distribution{"systemctl restart containerd", "run/containerd/containerd.sock", nil}
}

// table returns the header of the registry table in a configuration file of a version.
func table(version int) string {
	if version < 3 {
		return fmt.Sprintf("[plugins.%q.registry]", criName2)
	}
	return fmt.Sprintf("[plugins.%q.registry]", imagesName)
}

// lines returns the lines that a configuration file of a version needs.
func lines(version int, certsDir string) string {
	text := fmt.Sprintf("%s\n  config_path = %q\n", table(version), certsDir)
	if version < 2 {
		return "version = 2\n" + text
	}
	return text
}

// where returns the file to change: the last one that sets config_path, or otherwise the main file.
func where(files []file) *file {
	at := &files[0]
	for i := range files {
		if len(files[i].Plugins.paths()) > 0 {
			at = &files[i]
		}
	}
	return at
}

// olderSettings returns the last file with tables that can conflict with config_path, or otherwise the main file.
func olderSettings(files []file) *file {
	at := &files[0]
	for i := range files {
		for _, r := range files[i].Plugins.registries() {
			if len(r.Mirrors) > 0 || r.hasTLS() {
				at = &files[i]
			}
		}
	}
	return at
}

// remedy states what to change.
func (j *judgement) remedy(v *verdict) string {
	d := j.distribution
	switch {
	case v.reason == ContainerdCRIDisabled:
		return fmt.Sprintf("Remove %q, %q and %q from disabled_plugins in /%s or the files that it imports, then run: %s", criName1, criName2, imagesName, j.ContainerdConfig, d.restart)
	case v.reason == ContainerdRegistryConflict && j.isCertsDir(v.path):
		return j.remove() + "Then run: " + d.restart
	case v.reason == ContainerdConfigPathElsewhere && path.IsAbs(v.path) && !strings.Contains(v.path, ":"):
		return fmt.Sprintf("If hosts.toml files belong there on this node, start the manager with --containerd-certs-dir=%s. Otherwise: %s", clip(v.path), j.setPath())
	}
	return j.setPath()
}

// setPath states where to put which lines, what to remove, and what to run then.
func (j *judgement) setPath() string {
	files, d := j.files, j.distribution
	at := where(files)
	version := cmp.Or(at.Version, files[0].Version)
	in := "/" + clip(at.path)
	if d.template != nil {
		in = d.template(version) + ", from which /" + clip(at.path) + " is generated"
	}
	text := j.remove() + fmt.Sprintf("In %s, set the following, each table only once:\n\n%s\n", in, lines(version, j.CertsDir))
	if version < 2 {
		text += fmt.Sprintf("With version 2, write the full names of plugins in that file: %q instead of %q.\n", criName2, criName1)
	}
	if version > 2 && at.Plugins.CRI2 != nil && at.Plugins.CRI2.Registry != nil {
		text += fmt.Sprintf("Remove %s, which belongs to version 2.\n", table(2))
	}
	if slices.ContainsFunc(files, func(f file) bool { return f.Version != 0 && f.Version != files[0].Version }) {
		text += "Use one version in all imported files.\n"
	}
	if last, several := lastTable(files); several && j.dialects[0].max < 3 {
		text += fmt.Sprintf("containerd 1 reads this plugin's table only from the last file that has the table, /%s, so put every setting of the table into that file.\n", clip(last.path))
	}
	return text + "Then run: " + d.restart
}

// lastTable returns the last file that has the table of the version-2 plugin, and reports if others have it too.
func lastTable(files []file) (last *file, several bool) {
	for i := range files {
		if files[i].Plugins.CRI2 != nil {
			several = last != nil
			last = &files[i]
		}
	}
	return last, several
}

// remove names the tables that conflict with config_path.
func (j *judgement) remove() (text string) {
	var mirrors, tls bool
	for i := range j.files {
		for _, r := range j.files[i].Plugins.registries() {
			mirrors = mirrors || len(r.Mirrors) > 0
			tls = tls || r.hasTLS() && j.dialects[0].max < 3
		}
	}
	for _, t := range []struct {
		there bool
		name  string
	}{{mirrors, mirrorTables}, {tls, tlsTables}} {
		if t.there {
			text += fmt.Sprintf("Remove the tables registry.%s from /%s; hosts.toml files can replace them.\n", t.name, clip(olderSettings(j.files).path))
		}
	}
	return text
}
