// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// maxName is the longest name that a file may have, in bytes.
const maxName = 255

// RemoveLeftovers removes temporary folders directly below a directory. A killed [Host.ReplaceInFolder] or [Host.RemoveWithFolder] left them for
// files with that name and marker. It keeps a folder that holds anything else. No other process may be writing: see [Host.Lock].
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

// folder is the folder of one file of ours, under any name that it has at the moment.
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

// aside is the folder under its temporary name, next to its place. The name is hidden, so that it is not the name of a registry's host.
func (d folder) aside() folder {
	dir, name := path.Split(d.path)
	d.path = dir + "." + name[:min(len(name), maxName-len(".")-len(tempSuffix))] + tempSuffix
	return d
}

func (d folder) file() File {
	return File{Path: path.Join(d.path, d.name), Marker: d.of.Marker, Private: d.of.Private}
}

// close keeps others out of the folder of a private file, for example if the folder is older than the privacy of its file. It changes nothing that is
// already correct, because another program may watch the folder.
func (d folder) close() error {
	info, err := d.host.root.Lstat(d.path)
	if err != nil || info.Mode().Perm() == d.of.dirMode() {
		return err
	}
	return d.host.root.Chmod(d.path, d.of.dirMode())
}

// putBack returns to others their folder, without the file.
func (d folder) putBack() error {
	if err := d.host.root.Rename(d.aside().path, d.path); err != nil {
		return err
	}
	_, err := d.host.Remove(d.file())
	return errors.Join(err, d.host.root.syncDir(path.Dir(d.path)))
}

// Contents is the content of the folder of a file of ours.
type Contents struct {
	// Content is the file's; nil if there is no file.
	Content []byte
	// Others are the names of entries that are not ours.
	Others []string
	// HasLeftover is true if a killed process left an unfinished write.
	HasLeftover bool
	// IsRight is true if file and folder have their intended modes, and there is no leftover.
	IsRight bool

	ours []string    // the names of the file and of the leftover
	mode fs.FileMode // the file's
}

// LookInFolder returns the content of the folder of a file, which may be missing. It fails with [ErrForeign] if another kind of file is in the
// folder's place. It also does, with the rest of the contents, if the file is not ours.
func (h *Host) LookInFolder(f File) (Contents, error) {
	in := folderOf(h, f)
	contents, err := in.look()
	return contents, h.Explain(f.Path, err)
}

func (d folder) look() (in Contents, err error) {
	info, err := d.host.root.Lstat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Contents{}, nil
	}
	if err != nil {
		return Contents{}, err
	}
	if !info.IsDir() {
		return Contents{}, d.host.foreign(d.path)
	}
	names, err := d.host.names(d.path)
	if err != nil {
		return Contents{}, err
	}
	var foreign error
	for _, name := range names {
		switch name {
		case d.name:
			if in.Content, in.mode, foreign = d.host.read(d.file()); foreign != nil {
				continue
			}
		case d.name + tempSuffix:
			in.HasLeftover = true
		default:
			in.Others = append(in.Others, name)
			continue
		}
		in.ours = append(in.ours, name)
	}
	isClosed := !d.of.Private || len(in.Others) > 0 || info.Mode().Perm() == d.of.dirMode()
	in.IsRight = isClosed && in.mode == d.of.mode() && !in.HasLeftover
	return in, foreign
}

// clearAside frees the folder's temporary name. It removes only files of ours.
func (d folder) clearAside() error {
	err := d.host.root.removeTemp(d.aside().path)
	if errors.Is(err, syscall.ENOTEMPTY) {
		err = d.aside().remove()
	}
	return err
}

// remove removes the folder, which must hold only files of ours.
func (d folder) remove() error {
	in, err := d.look()
	if err != nil {
		return err
	}
	if len(in.Others) > 0 {
		return d.host.foreign(d.path)
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
