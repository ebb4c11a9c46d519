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
	folder := path.Dir(f.Path)
	found, err := h.look(folder, f)
	if err != nil {
		return false, err
	}
	if err := h.removeAside(folder, f); err != nil {
		return false, err
	}
	if found.file || found.others {
		if err := h.removeTemp(f.Path + tempSuffix); err != nil {
			return false, err
		}
		return h.Replace(f, content)
	}
	if err := h.moveIn(folder, f, content, found.ours); err != nil {
		return false, errors.Join(fmt.Errorf("making the folder %s: %w", folder, err), h.removeAside(folder, f))
	}
	return true, h.syncDir(path.Dir(folder))
}

// moveIn makes the folder with the file in it aside, and renames it into its place. An empty folder that is in the way goes
// first, because [os.Root.Rename] replaces none; until then there is no folder, which hides nothing.
func (h *Host) moveIn(folder string, f File, content []byte, ours []string) error {
	made := File{Path: path.Join(aside(folder), path.Base(f.Path)), Marker: f.Marker}
	if _, err := h.Replace(made, content); err != nil {
		return err
	}
	if err := h.removeFolder(folder, ours); err != nil {
		return err
	}
	return h.root.Rename(aside(folder), folder)
}

// RemoveWithFolder is [Host.Remove] for such a file. A folder that holds nothing but what is ours leaves its place before it is
// emptied; only a reader that has found the folder and not yet read the file can miss both. From a folder that also holds
// what others put there, only the file is removed. An empty one stays, because nothing tells whose it is.
func (h *Host) RemoveWithFolder(f File) (changed bool, err error) {
	folder := path.Dir(f.Path)
	found, err := h.look(folder, f)
	if err != nil {
		return false, err
	}
	if err := h.removeAside(folder, f); err != nil {
		return false, err
	}
	if found.others || len(found.ours) == 0 {
		return h.Remove(f)
	}
	if err := h.root.Rename(folder, aside(folder)); err != nil {
		return false, err
	}
	if err := h.syncDir(path.Dir(folder)); err != nil { // else a crash may keep what follows, and lose this
		return false, err
	}
	switch err := h.removeAside(folder, f); {
	case errors.Is(err, ErrForeign) || errors.Is(err, syscall.ENOTEMPTY): // others were there at the last moment
		return found.file, h.putBack(folder, f)
	case err != nil:
		return false, err
	}
	return found.file, h.syncDir(path.Dir(folder))
}

// putBack gives others their folder back, without the file.
func (h *Host) putBack(folder string, f File) error {
	if err := h.root.Rename(aside(folder), folder); err != nil {
		return err
	}
	_, err := h.Remove(f)
	return errors.Join(err, h.syncDir(path.Dir(folder)))
}

// RemoveLeftovers removes the temporary folders directly below a directory that a killed [Host.ReplaceInFolder] or
// [Host.RemoveWithFolder] left of files with that name and marker. One that holds anything else is left alone. No other process
// may be writing: see [Host.Lock].
func (h *Host) RemoveLeftovers(dir, name, marker string) error {
	entries, err := fs.ReadDir(h.root.FS(), dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	var failed []error
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") || !IsTemporary(entry.Name()) {
			continue
		}
		folder := path.Join(dir, entry.Name())
		if err := h.removeOurs(folder, File{Path: path.Join(folder, name), Marker: marker}); !errors.Is(err, ErrForeign) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// aside is the temporary name of a folder, beside its place: hidden, so that it is the name of no registry's host.
func aside(folder string) string {
	dir, name := path.Split(folder)
	return dir + "." + name[:min(len(name), maxName-len(".")-len(tempSuffix))] + tempSuffix
}

// contents are what is in a folder.
type contents struct {
	// ours are the names of the file and of what a killed process left of it.
	ours []string
	// file tells whether the file is there, and others whether anything that is not ours is.
	file, others bool
}

// look tells what is in a folder, which may be missing. It fails with [ErrForeign] if it is no folder, or the file is not ours.
func (h *Host) look(folder string, f File) (contents, error) {
	info, err := h.root.Lstat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return contents{}, nil
	}
	if err != nil {
		return contents{}, err
	}
	if !info.IsDir() {
		return contents{}, fmt.Errorf("%s: %w: not a folder", folder, ErrForeign)
	}
	entries, err := fs.ReadDir(h.root.FS(), folder)
	if err != nil {
		return contents{}, err
	}
	var in contents
	for _, entry := range entries {
		switch name := path.Base(f.Path); {
		case entry.Name() == name:
			if _, err := h.Read(File{Path: path.Join(folder, name), Marker: f.Marker}); err != nil {
				return contents{}, err
			}
			in.file = true
		case entry.Name() != name+tempSuffix:
			in.others = true
			continue
		}
		in.ours = append(in.ours, entry.Name())
	}
	return in, nil
}

// removeAside frees the temporary name of a folder, by the rule of [Host.removeTemp] and [Host.removeOurs].
func (h *Host) removeAside(folder string, f File) error {
	err := h.removeTemp(aside(folder))
	if errors.Is(err, syscall.ENOTEMPTY) {
		err = h.removeOurs(aside(folder), f)
	}
	return err
}

// removeOurs removes a folder that holds nothing but what is ours.
func (h *Host) removeOurs(folder string, f File) error {
	in, err := h.look(folder, f)
	if err != nil {
		return err
	}
	if in.others {
		return fmt.Errorf("%s: %w", folder, ErrForeign)
	}
	return h.removeFolder(folder, in.ours)
}

// removeFolder removes these files and the folder, which must then be empty.
func (h *Host) removeFolder(folder string, names []string) error {
	for _, name := range names {
		if err := h.removeTemp(path.Join(folder, name)); err != nil {
			return err
		}
	}
	return h.removeTemp(folder)
}
