// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
)

// files are the files of a host, for reading. Opening a file never waits, as it would on a pipe without a writer.
type files struct {
	root *os.Root
}

// errSpecial is the error about a file without content, such as a pipe.
var errSpecial = errors.New("neither a file nor a folder; replace it with a file or a folder")

// Open opens a file or a folder, and nothing else.
func (f files) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	opened, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := opened.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: errSpecial}
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

// ReadDir returns what is in a folder, in byte order.
func (f files) ReadDir(name string) (entries []fs.DirEntry, err error) {
	opened, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	folder, ok := opened.(fs.ReadDirFile)
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.ErrUnsupported}
	}
	entries, err = folder.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// Stat describes what a path leads to.
func (f files) Stat(name string) (fs.FileInfo, error) { return f.root.Stat(name) }

// Lstat describes the entry at a path, which may be a link.
func (f files) Lstat(name string) (fs.FileInfo, error) { return f.root.Lstat(name) }

// ReadLink returns where a link leads.
func (f files) ReadLink(name string) (string, error) { return f.root.Readlink(name) }
