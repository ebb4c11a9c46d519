// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// dialect is how the containerd of some versions reads its configuration. The facts here were read in the sources of these versions and tried with
// their programs.
type dialect struct {
	since [3]int
	// max is the highest version of a configuration file.
	max int
	// migratesAll is true if each file is migrated to the latest version before the merge. Without it, containerd 2 migrates the merged result, and
	// only if the last file of version 2 or later has version 2. So files of version 1 alone have no effect.
	migratesAll bool
	// noAscending is true if files with a higher version than the first are refused.
	noAscending bool
	// transfers is true if the transfer service pulls, which takes config_path for one folder.
	transfers bool
	// defaults is true if [defaultPath] applies without config_path and mirrors. defaultsEarly is true if it applies to an unset config_path even
	// next to mirrors, and to an empty one only before version 3.
	defaults, defaultsEarly bool
}

const defaultPath = "/etc/containerd/certs.d:/etc/docker/certs.d"

var dialects = []dialect{
	{since: [3]int{1, 6, 0}, max: 2},
	{since: [3]int{2, 0, 0}, max: 3},
	{since: [3]int{2, 1, 0}, max: 3, transfers: true},
	{since: [3]int{2, 2, 0}, max: 3, transfers: true, defaultsEarly: true},
	{since: [3]int{2, 2, 2}, max: 3, transfers: true, defaults: true},
	{since: [3]int{2, 3, 0}, max: 4, transfers: true, defaults: true, migratesAll: true, noAscending: true},
	{since: [3]int{2, 4, 0}, max: 4, transfers: true, defaults: true, migratesAll: true},
}

var versionPattern = regexp.MustCompile(`^containerd://v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})`)

// candidates returns the dialects that a node's containerd can have, given the version that the kubelet reports.
func candidates(runtimeVersion string) []dialect {
	match := versionPattern.FindStringSubmatch(runtimeVersion)
	if match == nil {
		return dialects
	}
	var version [3]int
	for i := range version {
		version[i], _ = strconv.Atoi(match[i+1]) // digits, by the pattern
	}
	for i := len(dialects) - 1; i > 0; i-- {
		if slices.Compare(dialects[i].since[:], version[:]) <= 0 {
			return dialects[i : i+1]
		}
	}
	return dialects[:1]
}

// label names the first version of a dialect.
func (d *dialect) label() string {
	label := fmt.Sprintf("%d.%d", d.since[0], d.since[1])
	if d.since[2] > 0 {
		label += fmt.Sprintf(".%d", d.since[2])
	}
	return label
}

// among names the dialects in question that something applies to; "" for all of them.
func among(all []dialect, holds []bool) string {
	var spans []string
	for i := 0; i < len(all); i++ {
		if !holds[i] {
			continue
		}
		first := i
		for i+1 < len(all) && holds[i+1] {
			i++
		}
		switch {
		case first == 0 && i == len(all)-1:
			return ""
		case first == 0:
			spans = append(spans, "before "+all[i+1].label())
		case i == len(all)-1:
			spans = append(spans, "since "+all[first].label())
		default:
			spans = append(spans, fmt.Sprintf("since %s and before %s", all[first].label(), all[i+1].label()))
		}
	}
	return strings.Join(spans, ", or ")
}

// The names that can disable the CRI plugin.
const (
	criName1   = "cri"
	criName2   = "io.containerd.grpc.v1.cri"
	imagesName = "io.containerd.cri.v1.images"
)

// settings is how a containerd reads its configuration files.
type settings struct {
	pull     section // of the plugin that pulls for the kubelet
	legacy   bool    // carried over from version 2
	transfer string
	disabled bool
}

// read merges the files. An error states why containerd does not start with them.
func (d *dialect) read(files []file) (settings, error) {
	var merged tables
	if d.max > 2 {
		merged.Version = d.max
	}
	root := 0
	for i := range files {
		t := files[i].tables
		if root == 0 {
			root = t.Version
		}
		if d.noAscending && t.Version > root {
			return settings{}, fmt.Errorf("/%s has version %d, and /%s version %d", clip(files[i].path), t.Version, clip(files[0].path), root)
		}
		if d.max > 2 && t.Version < 0 || d.migratesAll && t.Version > d.max {
			return settings{}, fmt.Errorf("/%s has version %d", clip(files[i].path), t.Version)
		}
		merged = d.merge(merged, t)
	}
	if merged.Version > d.max {
		return settings{}, fmt.Errorf("/%s has version %d", clip(files[0].path), merged.Version)
	}
	if d.max < 3 && merged.Version < 2 {
		return result(merged, merged.Plugins.CRI1, criName1), nil
	}
	if err := merged.wellNamed(d); err != nil {
		return settings{}, err
	}
	if d.max < 3 {
		return result(merged, merged.Plugins.CRI2, criName2), nil
	}
	legacy := merged.Version < 3
	if legacy {
		merged.Plugins = migrate(merged.Plugins)
	}
	s := result(merged, merged.Plugins.Images, criName2, imagesName)
	s.legacy = legacy
	return s, nil
}

// merge puts one more file over those before it.
func (d *dialect) merge(earlier, later tables) tables {
	merge := mergePlugins
	switch {
	case d.max < 3:
		merge = replacePlugins
	case d.migratesAll && later.Version < d.max:
		if later.Version < 2 {
			later = rename(later)
		}
		later.Plugins, later.Version = migrate(later.Plugins), d.max
	case later.Version < 2:
		later = rename(later)
		later.Version = earlier.Version
	}
	merged := tables{Version: later.Version, Plugins: merge(earlier.Plugins, later.Plugins)}
	if merged.Version == 0 {
		merged.Version = earlier.Version
	}
	merged.Disabled = slices.Concat(earlier.Disabled, later.Disabled)
	return merged
}

// wellNamed requires the full names of plugins, as containerd does since version 2 of the file.
func (t *tables) wellNamed(d *dialect) error {
	for _, name := range t.Disabled {
		if !strings.Contains(name, ".") {
			return fmt.Errorf("disabled_plugins has %s, which is not the full name of a plugin", quote(name))
		}
	}
	if d.max < 3 && t.Plugins.CRI1 != nil {
		return fmt.Errorf("plugins has %q, which is not the full name of a plugin", criName1)
	}
	return nil
}

func result(t tables, pull *section, names ...string) settings {
	var s settings
	if pull != nil {
		s.pull = *pull
	}
	if s.pull.Registry == nil {
		s.pull.Registry = &registry{}
	}
	if t.Plugins.Transfer != nil && t.Plugins.Transfer.ConfigPath != nil {
		s.transfer = *t.Plugins.Transfer.ConfigPath
	}
	s.disabled = slices.ContainsFunc(names, func(name string) bool { return slices.Contains(t.Disabled, name) })
	return s
}

// local reports if containerd pulls by itself, without the transfer service.
func (d *dialect) local(s *section) bool {
	r := s.Registry
	return !d.transfers || is(s.UseLocalImagePull, true) || is(s.DisableSnapshotAnnotations, false) || is(s.DiscardUnpackedLayers, true) ||
		is(s.ImagePullWithSyncFs, true) || s.MaxConcurrentDownloads != nil && *s.MaxConcurrentDownloads != 3 ||
		len(r.Mirrors)+len(r.Configs)+len(r.Auths) > 0
}

func is(value *bool, wanted bool) bool {
	return value != nil && *value == wanted
}
