// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// maxLinks is how many links in a row are followed.
const maxLinks = 40

// Follow returns where a link with an absolute target leads. The target is relative to the host's root, which is not ours.
func Follow(host fs.FS, name string) string {
	for range maxLinks {
		target, err := fs.ReadLink(host, name)
		if err != nil || !path.IsAbs(target) {
			break
		}
		name = strings.TrimPrefix(path.Clean(target), "/")
	}
	return name
}

// ReadDir reads a folder. It never waits for another kind of file, such as a pipe.
func ReadDir(files fs.FS, name string) ([]fs.DirEntry, error) {
	info, err := fs.Stat(files, name)
	if err == nil && !info.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	return fs.ReadDir(files, name)
}

// Names returns the names in a folder, in byte order. It does not look at each entry, as [Host.ReadDir] does below an [os.Root].
func (h *Host) Names(name string) ([]string, error) {
	names, err := h.names(name)
	return names, h.Explain(name, err)
}

func (h *Host) names(name string) (names []string, err error) {
	opened, err := h.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	names, err = opened.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// ReadDir returns the entries of a folder, in byte order. It fails with [fs.ErrNotExist], or with a [*Fault], for example if there is no folder at
// that name.
func (h *Host) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(h.FS(), name)
	return entries, h.Explain(name, err)
}
