// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ondisk reads and writes the folder that containerd's config_path names. It distinguishes our files, the files of others, and the leftovers
// of a killed process (N3 and N4 of docs/reference/semantics.md). The agent uses it on a node, and the plugin on a folder that is made for a node.
package ondisk

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/route"
)

// hostsFile is the name of containerd's file about a registry, in that registry's folder.
const hostsFile = "hosts.toml"

// Folder is the folder that config_path names, as it was at the last [Folder.Look], with everything written and removed since. It is for one
// goroutine.
type Folder struct {
	host *hostfile.Host
	dir  string
	// seen is the state of the folder of each registry, by its name.
	seen map[string]registry
	// hasLeftovers is true if a killed process left something aside.
	hasLeftovers bool
}

// At returns the folder at a path below the host's root, "." for the root. The folder may be missing. Its content is unknown before the first
// [Folder.Look].
func At(host *hostfile.Host, dir string) *Folder {
	return &Folder{host: host, dir: dir}
}

// Foreign is the error about a file or folder of others in the place of a file of ours, or in a place that hides ours.
type Foreign struct {
	// Path is below the host's root.
	Path string
	// What describes the problem with it. It follows the path in a message.
	What string
}

func (f *Foreign) Error() string {
	return f.Path + " " + f.What
}

// Path returns the path of the file in a registry's folder, below the host's root.
func (d *Folder) Path(folder string) string {
	return path.Join(d.dir, folder, hostsFile)
}

// Read returns the present content of the file in a registry's folder. It fails with [fs.ErrNotExist] or [hostfile.ErrForeign].
func (d *Folder) Read(folder string) ([]byte, error) {
	return d.host.Read(hostfile.File{Path: d.Path(folder), Marker: certsd.Marker, Private: true})
}

// Current returns the content of a registry's file, which is nil if there is none. It fails with a [*Foreign] if others configure that registry.
func (d *Folder) Current(host string) (content []byte, err error) {
	if err := d.judge(host, func(folder string) registry { return d.seen[folder] }); err != nil {
		return nil, err
	}
	content, err = d.Read(certsd.Folders(host)[0])
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return content, err
}

// judge fails with a [*Foreign] if others configure a registry with files in its folders.
func (d *Folder) judge(host string, in func(folder string) registry) error {
	folders := certsd.Folders(host)
	first := in(folders[0])
	switch {
	case first.exists && !first.isFolder:
		return &Foreign{Path: path.Join(d.dir, folders[0]), What: "is not a folder of Mirrorset"}
	case errors.Is(first.err, hostfile.ErrForeign):
		return &Foreign{Path: d.Path(folders[0]), What: "is not a file of Mirrorset"}
	case first.err != nil || first.hasFile:
		return first.err
	}
	const ignored = "is not a file of Mirrorset, and containerd would ignore it next to the hosts.toml of Mirrorset"
	if _, other := certsd.FindCertificates(first.others); other != "" { // which our file cannot carry over
		return &Foreign{Path: path.Join(d.dir, folders[0], other), What: ignored}
	}
	for _, hidden := range folders[1:] {
		if others := in(hidden).all(); len(others) > 0 {
			return &Foreign{Path: path.Join(d.dir, hidden, others[0]), What: ignored}
		}
	}
	return nil
}

// RemoveLeftovers removes the folders that a killed process left aside. No other process may be writing.
func (d *Folder) RemoveLeftovers() error {
	if !d.hasLeftovers {
		return nil
	}
	return d.host.RemoveLeftovers(d.dir, hostsFile, certsd.Marker)
}

// Ours returns the names of the folders with a file of ours, or with only the leftovers of a killed process, in byte order. They are complete, apart
// from those in the error.
func (d *Folder) Ours() (folders []string, err error) {
	var failed []error
	for _, folder := range d.folders() {
		switch seen := d.seen[folder]; {
		case !seen.isFolder: // a link, too, is somebody else's
		case seen.hasFile || seen.isBegun:
			folders = append(folders, folder)
		case seen.err != nil && !errors.Is(seen.err, hostfile.ErrForeign):
			failed = append(failed, seen.err)
		}
	}
	return folders, errors.Join(failed...)
}

// Known is [Folder.Ours] as of the last look, or of a look now if there was none.
func (d *Folder) Known() (folders []string, err error) {
	if d.seen == nil {
		if err := d.Look(); err != nil {
			return nil, err
		}
	}
	return d.Ours()
}

// Certificates returns the certificates next to a registry's hosts.toml, which our file must name.
func (d *Folder) Certificates(host string) certsd.Certificates {
	others := slices.Clone(d.seen[certsd.Folders(host)[0]].others)
	found, _ := certsd.FindCertificates(slices.DeleteFunc(others, func(name string) bool { return name == hostsFile }))
	return found
}

// Depends reports if containerd, with the file in a registry's folder, contacts only the redirector.
func (d *Folder) Depends(folder string) bool {
	return d.seen[folder].depends
}

// Hidden is a registry where a wildcard is not in force, because a foreign folder hides the default host's.
type Hidden struct {
	// Path is the path of the folder, below the host's root.
	Path string
	// Host is the registry, and Wildcard the source.
	Host, Wildcard string
}

// Hidden returns these registries, in byte order of the folder.
func (d *Folder) Hidden(router *route.Router) (all []Hidden) {
	for _, folder := range d.folders() {
		host := certsd.HostOf(folder)
		if wildcard := string(router.Wildcard(host)); wildcard != "" && !d.seen[folder].hasFile {
			all = append(all, Hidden{Path: path.Join(d.dir, folder), Host: host, Wildcard: wildcard})
		}
	}
	return all
}

// folders are the names of all that was seen, in byte order.
func (d *Folder) folders() []string {
	return slices.Sorted(maps.Keys(d.seen))
}
