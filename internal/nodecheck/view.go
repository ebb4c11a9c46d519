// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck

import (
	"io/fs"
	"strings"
)

// view shows a host's folders in their own places, wherever they are mounted.
type view struct {
	root   fs.FS
	mounts map[string]string // both below a root
}

func newView(root fs.FS, mounts map[string]string) fs.FS {
	v := view{root: root, mounts: make(map[string]string, len(mounts))}
	for folder, at := range mounts {
		v.mounts[relative(folder)] = relative(at)
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
