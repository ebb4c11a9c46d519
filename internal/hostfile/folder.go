// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// maxName is the longest name that a file may have, in bytes.
const maxName = 255

// ReplaceInFolder is [Host.Replace] for a file whose folder must never be seen without it, after a crash neither: where a
// registry's folder has no hosts.toml, containerd goes to the source, past a _default that blocks it. A folder that is missing,
// empty, or holds nothing but what a killed process left, appears with the file in it; in any other the file is replaced.
// It fails with [ErrForeign] also where something else, such as a link, stands in the folder's place.
func (h *Host) ReplaceInFolder(f File, content []byte) (changed bool, err error) {
	defer func() { err = h.Explain(f.Path, err) }()
	in := folderOf(h, f)
	found, err := in.look()
	if err != nil {
		return false, err
	}
	if err := in.clearAside(); err != nil {
		return false, err
	}
	if found.file || found.others {
		if err := h.root.removeTemp(f.Path + tempSuffix); err != nil {
			return false, err
		}
		changed, err := h.Replace(f, content)
		if err == nil && f.Private && !found.others {
			err = in.close()
		}
		return changed, err
	}
	if err := in.moveIn(content, found.ours); err != nil {
		return false, errors.Join(fmt.Errorf("making the folder %s: %w", in.path, err), in.clearAside())
	}
	return true, h.root.syncDir(path.Dir(in.path))
}

// RemoveWithFolder is [Host.Remove] for such a file. A folder that holds nothing but what is ours leaves its place before it is
// emptied; only a reader that has found the folder and not yet read the file can miss both. From a folder that also holds
// what others put there, only the file is removed. An empty one stays, because nothing tells whose it is.
func (h *Host) RemoveWithFolder(f File) (changed bool, err error) {
	defer func() { err = h.Explain(f.Path, err) }()
	in := folderOf(h, f)
	found, err := in.look()
	if err != nil {
		return false, err
	}
	if err := in.clearAside(); err != nil {
		return false, err
	}
	if found.others || len(found.ours) == 0 {
		return h.Remove(f)
	}
	if err := h.root.Rename(in.path, in.aside().path); err != nil {
		return false, err
	}
	if err := h.root.syncDir(path.Dir(in.path)); err != nil { // else a crash may keep what follows, and lose this
		return false, err
	}
	switch err := in.clearAside(); {
	case errors.Is(err, ErrForeign) || errors.Is(err, syscall.ENOTEMPTY): // others were there at the last moment
		return found.file, in.putBack()
	case err != nil:
		return false, err
	}
	return found.file, h.root.syncDir(path.Dir(in.path))
}

// RemoveLeftovers removes the temporary folders directly below a directory that a killed [Host.ReplaceInFolder] or
// [Host.RemoveWithFolder] left of files with that name and marker. One that holds anything else is left alone. No other process
// may be writing: see [Host.Lock].
func (h *Host) RemoveLeftovers(dir, name, marker string) error {
	entries, err := h.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var failed []error
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") || !IsTemporary(entry.Name()) {
			continue
		}
		leftover := folderOf(h, File{Path: path.Join(dir, entry.Name(), name), Marker: marker})
		if err := leftover.remove(); !errors.Is(err, ErrForeign) {
			failed = append(failed, h.Explain(leftover.path, err))
		}
	}
	return errors.Join(failed...)
}

// folder is the folder of one file of ours, by whatever name it has at the moment.
type folder struct {
	host *Host
	path string
	// name is the file's; of is the file, wherever the folder is.
	name string
	of   File
}

func folderOf(h *Host, f File) folder {
	return folder{host: h, path: path.Dir(f.Path), name: path.Base(f.Path), of: f}
}

// aside is the folder under its temporary name, beside its place: hidden, so that it is the name of no registry's host.
func (d folder) aside() folder {
	dir, name := path.Split(d.path)
	d.path = dir + "." + name[:min(len(name), maxName-len(".")-len(tempSuffix))] + tempSuffix
	return d
}

func (d folder) file() File {
	return File{Path: path.Join(d.path, d.name), Marker: d.of.Marker, Private: d.of.Private}
}

// close keeps others out of the folder of a private file, as where one is that was made before its file was private. It touches nothing that is
// right, because somebody may be watching.
func (d folder) close() error {
	info, err := d.host.root.Lstat(d.path)
	if err != nil || info.Mode().Perm() == d.of.dirMode() {
		return err
	}
	return d.host.root.Chmod(d.path, d.of.dirMode())
}

// moveIn makes the folder with the file in it aside, and renames it into its place. An empty folder that is in the way goes
// first, because [os.Root.Rename] replaces none; until then there is no folder, which hides nothing.
func (d folder) moveIn(content []byte, ours []string) error {
	made := d.aside()
	if err := d.host.root.makeDir(made.path, d.of.dirMode()); err != nil {
		return err
	}
	if _, err := d.host.Replace(made.file(), content); err != nil {
		return err
	}
	if err := d.removeFiles(ours); err != nil {
		return err
	}
	return d.host.root.Rename(made.path, d.path)
}

// putBack gives others their folder back, without the file.
func (d folder) putBack() error {
	if err := d.host.root.Rename(d.aside().path, d.path); err != nil {
		return err
	}
	_, err := d.host.Remove(d.file())
	return errors.Join(err, d.host.root.syncDir(path.Dir(d.path)))
}

// contents are what is in a folder.
type contents struct {
	// ours are the names of the file and of what a killed process left of it.
	ours []string
	// file tells whether the file is there, and others whether anything that is not ours is.
	file, others bool
}

// look tells what is in the folder, which may be missing. It fails with [ErrForeign] if it is no folder, or the file is not ours.
func (d folder) look() (contents, error) {
	info, err := d.host.root.Lstat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return contents{}, nil
	}
	if err != nil {
		return contents{}, err
	}
	if !info.IsDir() {
		return contents{}, foreign(d.path)
	}
	entries, err := fs.ReadDir(d.host.FS(), d.path)
	if err != nil {
		return contents{}, err
	}
	var in contents
	for _, entry := range entries {
		switch {
		case entry.Name() == d.name:
			if _, err := d.host.Read(d.file()); err != nil {
				return contents{}, err
			}
			in.file = true
		case entry.Name() != d.name+tempSuffix:
			in.others = true
			continue
		}
		in.ours = append(in.ours, entry.Name())
	}
	return in, nil
}

// clearAside frees the folder's temporary name, of which only what is ours is removed.
func (d folder) clearAside() error {
	err := d.host.root.removeTemp(d.aside().path)
	if errors.Is(err, syscall.ENOTEMPTY) {
		err = d.aside().remove()
	}
	return err
}

// remove removes the folder, which must hold nothing but what is ours.
func (d folder) remove() error {
	in, err := d.look()
	if err != nil {
		return err
	}
	if in.others {
		return foreign(d.path)
	}
	return d.removeFiles(in.ours)
}

// removeFiles removes these files and the folder, which must then be empty.
func (d folder) removeFiles(names []string) error {
	for _, name := range names {
		if err := d.host.root.removeTemp(path.Join(d.path, name)); err != nil {
			return err
		}
	}
	return d.host.root.removeTemp(d.path)
}
