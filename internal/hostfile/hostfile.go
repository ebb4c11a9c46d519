// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hostfile owns single files below the root directory of a host. It replaces files atomically, so that a reader sees the old content or the
// new at every moment, even after a crash. Where that matters, it does so for folders with one file in them, too. No path leads out of that
// directory, not with "..", an absolute name or a symbolic link.
package hostfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// tempSuffix ends the name of a file or a folder that is being written. It is not one that registries.conf readers load
// (semantics.md N1).
const tempSuffix = ".mirrorset-tmp"

// maxOwn is the most that is read of a file of ours, in bytes.
const maxOwn = 256 << 20

// ErrForeign is returned for a file that is not ours. Such a file is never changed.
var ErrForeign = errors.New("not written by Mirrorset, so it is left as it is")

// foreign returns [ErrForeign] about the entry at a path.
func (h *Host) foreign(name string) error {
	return fmt.Errorf("/%s: %w; remove it", h.Path(name), ErrForeign)
}

// Host is the root directory of a host, or a folder below it.
type Host struct {
	root disk
	// at is where the folder is below the host's root, for messages; empty for the root.
	at string
	// known are the files that [Host.Replace] has read, by path.
	known *memory
}

// Open opens the directory.
func Open(dir string) (*Host, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the root directory of the host: %w", err)
	}
	return &Host{root: disk{root}, known: newMemory()}, nil
}

// Sub opens a folder of the host, and makes it if it is missing. Paths are then below this folder. For many files in it, its own path is resolved
// only once.
func (h *Host) Sub(dir string) (*Host, error) {
	if err := h.root.makeDir(dir); err != nil {
		return nil, h.Explain(dir, err)
	}
	root, err := h.root.OpenRoot(dir)
	if err != nil {
		return nil, h.Explain(dir, err)
	}
	return &Host{root: disk{root}, at: path.Join(h.at, dir), known: newMemory()}, nil
}

// Path returns the place of a path below the root of the host.
func (h *Host) Path(name string) string {
	return path.Join(h.at, name)
}

// Close releases the directory.
func (h *Host) Close() error {
	return h.root.Close()
}

// FS returns the host's files for reading. It never waits for an entry that is neither a file nor a folder, such as a pipe.
func (h *Host) FS() fs.FS {
	return files{h.root.Root}
}

// File is one file that belongs to us if its content begins with the marker.
type File struct {
	// Path is relative to the host's root.
	Path string
	// Marker is the beginning of all content that is ours.
	Marker string
	// Private lets only root read the file, and so the folder of [Host.ReplaceInFolder].
	Private bool
}

func (f File) mode() fs.FileMode {
	if f.Private {
		return privateFileMode
	}
	return fileMode
}

func (f File) dirMode() fs.FileMode {
	if f.Private {
		return privateDirMode
	}
	return dirMode
}

// Replace makes the content, which begins with the marker, the content of the file. It makes missing directories. It reports if anything changed, and
// fails with [ErrForeign] if the file is not ours. It and the other methods fail with a [*Fault] if the system does not let them do their work.
func (h *Host) Replace(f File, content []byte) (changed bool, err error) {
	defer func() { err = h.Explain(f.Path, err) }()
	stamp, isKnown := h.Stamp(f.Path)
	if isKnown && h.known.says(f.Path, stamp, content) {
		return false, nil
	}
	switch current, mode, err := h.read(f); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, err
	case bytes.Equal(current, content) && mode == f.mode():
		if isKnown {
			h.known.keep(f.Path, stamp, content)
		}
		return false, nil
	}
	if err := h.root.makeDir(path.Dir(f.Path)); err != nil {
		return false, err
	}
	if err := h.writeTemp(f, content); err != nil {
		return false, err
	}
	if err := h.renameTemp(f); err != nil {
		return false, err
	}
	return true, h.root.syncDir(path.Dir(f.Path))
}

// writeTemp writes the content of a file next to it. The directory must exist.
func (h *Host) writeTemp(f File, content []byte) error {
	temp := f.Path + tempSuffix
	if err := h.root.writeTemp(temp, content, f.mode()); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", temp, err), h.root.removeTemp(temp))
	}
	return nil
}

// renameTemp puts the temporary file in the place of the file.
func (h *Host) renameTemp(f File) error {
	temp := f.Path + tempSuffix
	if err := h.root.Rename(temp, f.Path); err != nil {
		return errors.Join(err, h.root.removeTemp(temp))
	}
	return nil
}

// Remove removes the file if it is ours, and any leftover of a killed [Host.Replace]. It reports if there was a file.
func (h *Host) Remove(f File) (changed bool, err error) {
	defer func() { err = h.Explain(f.Path, err) }()
	if err := h.root.removeTemp(f.Path + tempSuffix); err != nil {
		return false, err
	}
	switch _, _, err := h.read(f); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	if err := h.root.Remove(f.Path); err != nil {
		return false, err
	}
	return true, h.root.syncDir(path.Dir(f.Path))
}

// Lstat describes the entry at a path, which may be a link.
func (h *Host) Lstat(name string) (fs.FileInfo, error) {
	return h.root.Lstat(name)
}

// Read returns the content of the file. It fails with [fs.ErrNotExist] or [ErrForeign].
func (h *Host) Read(f File) ([]byte, error) {
	content, _, err := h.read(f)
	return content, h.Explain(f.Path, err)
}

func (h *Host) read(f File) (content []byte, mode fs.FileMode, err error) {
	info, err := h.root.Lstat(f.Path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, h.foreign(f.Path)
	}
	if content, err = h.ReadRegular(f.Path, maxOwn); err != nil {
		return nil, 0, err
	}
	if !bytes.HasPrefix(content, []byte(f.Marker)) {
		return nil, 0, h.foreign(f.Path)
	}
	return content, info.Mode(), nil
}

// ReadRegular returns the content of a regular file of at most max bytes, whether it is ours or not. It never waits for another kind of file, such as
// a pipe.
func (h *Host) ReadRegular(name string, max int64) (content []byte, err error) {
	file, err := h.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file; replace it with a regular file", h.Path(name))
	}
	content, err = io.ReadAll(io.LimitReader(file, max+1))
	if err == nil && int64(len(content)) > max {
		err = fmt.Errorf("%s has more than %d bytes", h.Path(name), max)
	}
	return content, err
}

// IsTemporary reports if a name is that of a file that [Host.Replace] is writing, or of a folder that [Host.ReplaceInFolder] or
// [Host.RemoveWithFolder] has moved aside.
func IsTemporary(name string) bool {
	return strings.HasSuffix(name, tempSuffix)
}

// SameFile reports if a file was not replaced between two looks at it. Its number alone does not show that, because a new file may get the number of
// a removed file.
func SameFile(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}
