// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hostview shows a host's files, wherever its folders are mounted, and reads configuration files. It reads only regular files, and never
// without a bound.
package hostview

import (
	"cmp"
	"io/fs"
	"path"
	"strings"
)

// view shows a host's folders in their own places, wherever they are mounted.
type view struct {
	root   fs.FS
	mounts map[string]string // both below a root
}

// New returns the files below a root. The mounts map folders of the host, by their names there, to their places below the root if those differ. If
// one folder is in another, the inner one counts.
func New(root fs.FS, mounts map[string]string) fs.FS {
	v := view{root: root, mounts: make(map[string]string, len(mounts))}
	for folder, at := range mounts {
		v.mounts[Path(folder)] = Path(at)
	}
	return v
}

// at returns where a file of the host is below the root.
func (v view) at(name string) string {
	inner, place := "", name
	for folder, at := range v.mounts {
		rest, ok := strings.CutPrefix(name, folder)
		if ok && (rest == "" || rest[0] == '/') && len(folder) > len(inner) {
			inner, place = folder, at+rest
		}
	}
	return place
}

func (v view) Open(name string) (fs.File, error)          { return v.root.Open(v.at(name)) }
func (v view) Stat(name string) (fs.FileInfo, error)      { return fs.Stat(v.root, v.at(name)) }
func (v view) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(v.root, v.at(name)) }

// Path returns where the host's file of a name is below its root.
func Path(name string) string {
	return cmp.Or(strings.TrimPrefix(path.Clean("/"+name), "/"), ".")
}
