// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck

import "maps"

// tables are the settings that we need from one of containerd's configuration files. We ignore everything else in it.
type tables struct {
	Version  int      `toml:"version"`
	Imports  []string `toml:"imports"`
	Disabled []string `toml:"disabled_plugins"`
	Plugins  plugins  `toml:"plugins"`
}

// plugins has those that pull images, under the names that they have in different versions of the file.
type plugins struct {
	CRI1     *section `toml:"cri"`                         // version 1
	CRI2     *section `toml:"io.containerd.grpc.v1.cri"`   // version 2
	Images   *section `toml:"io.containerd.cri.v1.images"` // version 3 and later
	Transfer *section `toml:"io.containerd.transfer.v1.local"`
}

// section is the table of one plugin. A nil field is not set.
type section struct {
	ConfigPath *string   `toml:"config_path"` // of the transfer service
	Registry   *registry `toml:"registry"`

	// The others switch containerd 2.1 and later from its transfer service to pulling by itself.
	UseLocalImagePull          *bool           `toml:"use_local_image_pull"`
	DisableSnapshotAnnotations *bool           `toml:"disable_snapshot_annotations"`
	DiscardUnpackedLayers      *bool           `toml:"discard_unpacked_layers"`
	MaxConcurrentDownloads     *int            `toml:"max_concurrent_downloads"`
	ImagePullWithSyncFs        *bool           `toml:"image_pull_with_sync_fs"`
	Containerd                 *legacyDefaults `toml:"containerd"`
}

// legacyDefaults is where two of the others stand before version 3.
type legacyDefaults struct {
	DisableSnapshotAnnotations *bool     `toml:"disable_snapshot_annotations"`
	DiscardUnpackedLayers      *bool     `toml:"discard_unpacked_layers"`
	Runtimes                   *struct{} `toml:"runtimes"`
}

type registry struct {
	ConfigPath *string                   `toml:"config_path"`
	Mirrors    map[string]struct{}       `toml:"mirrors"`
	Configs    map[string]registryConfig `toml:"configs"`
	Auths      map[string]struct{}       `toml:"auths"`
}

type registryConfig struct {
	TLS *struct{} `toml:"tls"`
}

// registries returns the registry settings in a file, whichever plugin they are for.
func (p plugins) registries() (all []*registry) {
	for _, s := range []*section{p.CRI1, p.CRI2, p.Images} {
		if s != nil && s.Registry != nil {
			all = append(all, s.Registry)
		}
	}
	return all
}

// paths returns the values of config_path in a file.
func (p plugins) paths() (values []string) {
	for _, r := range p.registries() {
		if r.ConfigPath != nil {
			values = append(values, *r.ConfigPath)
		}
	}
	return values
}

// or returns the later value if there is one.
func or[T any](later, earlier *T) *T {
	if later != nil {
		return later
	}
	return earlier
}

// mergePlugins puts one file's plugins over those of the files before, key by key, as containerd 2 does.
func mergePlugins(earlier, later plugins) plugins {
	return plugins{
		CRI1:     mergeSections(earlier.CRI1, later.CRI1),
		CRI2:     mergeSections(earlier.CRI2, later.CRI2),
		Images:   mergeSections(earlier.Images, later.Images),
		Transfer: mergeSections(earlier.Transfer, later.Transfer),
	}
}

// replacePlugins puts one file's plugins over those of the files before, each as a whole, as containerd 1 does.
func replacePlugins(earlier, later plugins) plugins {
	return plugins{
		CRI1:     or(later.CRI1, earlier.CRI1),
		CRI2:     or(later.CRI2, earlier.CRI2),
		Images:   or(later.Images, earlier.Images),
		Transfer: or(later.Transfer, earlier.Transfer),
	}
}

func mergeSections(earlier, later *section) *section {
	if earlier == nil || later == nil {
		return or(later, earlier)
	}
	merged := section{
		ConfigPath:                 or(later.ConfigPath, earlier.ConfigPath),
		Registry:                   mergeRegistries(earlier.Registry, later.Registry),
		UseLocalImagePull:          or(later.UseLocalImagePull, earlier.UseLocalImagePull),
		DisableSnapshotAnnotations: or(later.DisableSnapshotAnnotations, earlier.DisableSnapshotAnnotations),
		DiscardUnpackedLayers:      or(later.DiscardUnpackedLayers, earlier.DiscardUnpackedLayers),
		MaxConcurrentDownloads:     or(later.MaxConcurrentDownloads, earlier.MaxConcurrentDownloads),
		ImagePullWithSyncFs:        or(later.ImagePullWithSyncFs, earlier.ImagePullWithSyncFs),
		Containerd:                 or(later.Containerd, earlier.Containerd),
	}
	if e, l := earlier.Containerd, later.Containerd; e != nil && l != nil {
		merged.Containerd = &legacyDefaults{
			DisableSnapshotAnnotations: or(l.DisableSnapshotAnnotations, e.DisableSnapshotAnnotations),
			DiscardUnpackedLayers:      or(l.DiscardUnpackedLayers, e.DiscardUnpackedLayers),
			Runtimes:                   or(l.Runtimes, e.Runtimes),
		}
	}
	return &merged
}

func mergeRegistries(earlier, later *registry) *registry {
	if earlier == nil || later == nil {
		return or(later, earlier)
	}
	return &registry{
		ConfigPath: or(later.ConfigPath, earlier.ConfigPath),
		Mirrors:    union(earlier.Mirrors, later.Mirrors),
		Configs:    union(earlier.Configs, later.Configs),
		Auths:      union(earlier.Auths, later.Auths),
	}
}

func union[V any](earlier, later map[string]V) map[string]V {
	all := maps.Clone(earlier)
	if all == nil {
		return later
	}
	maps.Copy(all, later)
	return all
}

// migrate copies the settings of a version-2 plugin to its successor, as containerd 2 does. It overwrites existing settings, and two of the keys need
// a table of runtimes next to them.
func migrate(p plugins) plugins {
	old := p.CRI2
	if old == nil {
		return p
	}
	var images section
	if p.Images != nil {
		images = *p.Images
	}
	images.Registry = or(old.Registry, images.Registry)
	images.MaxConcurrentDownloads = or(old.MaxConcurrentDownloads, images.MaxConcurrentDownloads)
	images.ImagePullWithSyncFs = or(old.ImagePullWithSyncFs, images.ImagePullWithSyncFs)
	if c := old.Containerd; c != nil && c.Runtimes != nil {
		images.DisableSnapshotAnnotations = or(c.DisableSnapshotAnnotations, images.DisableSnapshotAnnotations)
		images.DiscardUnpackedLayers = or(c.DiscardUnpackedLayers, images.DiscardUnpackedLayers)
	}
	p.Images = &images
	return p
}

// rename gives a version-1 file the names of version 2.
func rename(t tables) tables {
	if t.Plugins.CRI1 != nil {
		t.Plugins.CRI2, t.Plugins.CRI1 = t.Plugins.CRI1, nil
	}
	disabled := make([]string, 0, len(t.Disabled))
	for _, name := range t.Disabled {
		if name == criName1 {
			name = criName2
		}
		disabled = append(disabled, name)
	}
	t.Disabled = disabled
	return t
}
