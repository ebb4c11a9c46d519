// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ondisk reads and writes the folder that containerd's config_path names, and tells what in it is ours, what is
// somebody else's, and what a killed process left (N3 and N4 of docs/semantics.md). The agent uses it on a node, and the plugin
// on a folder that is made for one.
package ondisk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/route"
)

// hostsFile is the name of containerd's file about a registry, in that registry's folder.
const hostsFile = "hosts.toml"

// Folder is the one that config_path names.
type Folder struct {
	host *hostfile.Host
	dir  string
}

// At returns the folder at a path below the host's root, "." for the root. It need not be there.
func At(host *hostfile.Host, dir string) Folder {
	return Folder{host: host, dir: dir}
}

// Foreign is the error about what others have put where a file of ours would be, or would not count.
type Foreign struct {
	// Path is below the host's root.
	Path string
	// What says, behind the path, what is wrong with it.
	What string
}

func (f *Foreign) Error() string {
	return f.Path + " " + f.What
}

// Path returns the one of the file in a registry's folder, below the host's root.
func (d Folder) Path(folder string) string {
	return path.Join(d.dir, folder, hostsFile)
}

// Read returns the content of the file in a registry's folder. It fails with [fs.ErrNotExist] or [hostfile.ErrForeign].
func (d Folder) Read(folder string) ([]byte, error) {
	return d.host.Read(d.file(folder))
}

// Current returns the content of a registry's file, which is nil where there is none. It fails with a [*Foreign] where others
// configure that registry.
func (d Folder) Current(host string) (content []byte, err error) {
	folder := certsd.Folders(host)[0]
	if info, err := d.host.Lstat(path.Join(d.dir, folder)); err == nil && !info.IsDir() {
		return nil, &Foreign{Path: path.Join(d.dir, folder), What: "is not a folder of ours"}
	}
	content, err = d.Read(folder)
	switch {
	case errors.Is(err, hostfile.ErrForeign):
		return nil, &Foreign{Path: d.Path(folder), What: "is not ours"}
	case errors.Is(err, fs.ErrNotExist):
		if theirs := d.theirs(host); theirs != "" {
			return nil, &Foreign{Path: theirs, What: "is not ours and would be ignored beside our hosts.toml"}
		}
		return nil, nil
	}
	return content, err
}

// Write puts one file in place, with its folder, and reads it back as containerd does. It fails with a [*Foreign] where others
// configure that registry.
func (d Folder) Write(f certsd.File) (changed bool, err error) {
	if _, err := d.Current(f.Host); err != nil {
		return false, err
	}
	file := d.file(path.Dir(f.Path))
	if changed, err = d.host.ReplaceInFolder(file, f.Content); err != nil || !changed {
		return false, err
	}
	content, err := d.host.Read(file)
	if err != nil {
		return changed, err
	}
	if !bytes.Equal(content, f.Content) {
		return changed, fmt.Errorf("/%s is not what was written", file.Path)
	}
	if _, err := certsd.Parse(f.Host, content); err != nil {
		return changed, fmt.Errorf("/%s cannot be read by containerd: %w", file.Path, err)
	}
	return changed, nil
}

// Remove removes the file from a registry's folder, and the folder if nothing else is in it. It reports whether there was a file.
func (d Folder) Remove(folder string) (changed bool, err error) {
	return d.host.RemoveWithFolder(d.file(folder))
}

// RemoveLeftovers removes what a killed process left aside. No other process may be writing.
func (d Folder) RemoveLeftovers() error {
	return d.host.RemoveLeftovers(d.dir, hostsFile, certsd.Marker)
}

// Ours returns the names of the folders with a file of ours, or with nothing but what a killed process left of one. They are
// complete but for those that the error is about.
func (d Folder) Ours() (folders []string, err error) {
	entries, err := d.host.ReadDir(d.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var failed []error
	for _, entry := range entries {
		if !entry.IsDir() || hostfile.IsTemporary(entry.Name()) { // a link, too, is somebody else's
			continue
		}
		switch _, err := d.Read(entry.Name()); {
		case err == nil || errors.Is(err, fs.ErrNotExist) && isBegun(d.host.FS(), path.Join(d.dir, entry.Name())):
			folders = append(folders, entry.Name())
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, hostfile.ErrForeign):
			failed = append(failed, err)
		}
	}
	return folders, errors.Join(failed...)
}

// Certificates returns those that lie beside a registry's hosts.toml, which ours has to name.
func (d Folder) Certificates(host string) certsd.Certificates {
	names := slices.DeleteFunc(d.names(certsd.Folders(host)[0]), func(name string) bool { return name == hostsFile })
	found, _ := certsd.FindCertificates(names)
	return found
}

// Hidden is a registry that a wildcard is not in force for, because somebody else's folder hides the default host's.
type Hidden struct {
	// Path is that of the folder, below the host's root.
	Path string
	// Host is the registry, and Wildcard the source.
	Host, Wildcard string
}

// Hidden returns these registries, in byte order of the folder.
func (d Folder) Hidden(router *route.Router) (all []Hidden, err error) {
	folders, err := d.host.ReadDir(d.dir)
	for _, folder := range folders {
		host := certsd.HostOf(folder.Name())
		wildcard := string(router.Wildcard(host))
		if wildcard == "" || hostfile.IsTemporary(folder.Name()) {
			continue
		}
		if _, err := d.Read(folder.Name()); err != nil || !folder.IsDir() {
			all = append(all, Hidden{Path: path.Join(d.dir, folder.Name()), Host: host, Wildcard: wildcard})
		}
	}
	return all, err
}

// file is the one of a registry's folder. It can hold what opens the redirector (N10).
func (d Folder) file(folder string) hostfile.File {
	return hostfile.File{Path: d.Path(folder), Marker: certsd.Marker, Private: true}
}

// theirs returns what others have put into the folders that containerd reads for a registry and that our file cannot carry
// over; "" for nothing.
func (d Folder) theirs(host string) string {
	folders := certsd.Folders(host)
	if _, other := certsd.FindCertificates(d.names(folders[0])); other != "" {
		return path.Join(d.dir, folders[0], other)
	}
	for _, hidden := range folders[1:] {
		if names := d.names(hidden); len(names) > 0 {
			return path.Join(d.dir, hidden, names[0])
		}
	}
	return ""
}

// names returns what is in a registry's folder, but for what a killed process left, which would shut out the next.
func (d Folder) names(folder string) (names []string) {
	entries, err := hostfile.ReadDir(d.host.FS(), path.Join(d.dir, folder))
	if err != nil {
		return nil // not there, mostly; what cannot be read fails the write
	}
	for _, entry := range entries {
		if !hostfile.IsTemporary(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names
}

// isBegun reports whether a folder has nothing but what a killed process began to write.
func isBegun(files fs.FS, folder string) bool {
	entries, err := fs.ReadDir(files, folder)
	return err == nil && len(entries) > 0 && !slices.ContainsFunc(entries, func(entry fs.DirEntry) bool { return !hostfile.IsTemporary(entry.Name()) })
}
