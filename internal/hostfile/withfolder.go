// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"errors"
	"path"
	"syscall"
)

// Removal is a file to remove, and the result.
type Removal struct {
	File File
	// Changed reports if there was a file.
	Changed bool
	Err     error
}

// RemoveWithFolder is [Host.Remove] for a file of [Host.ReplaceInFolder]. It moves a folder that holds only files of ours aside before it empties it.
// Only a reader that has found the folder and not yet read the file can miss both. If others put files into the folder, RemoveWithFolder removes only
// our file. An empty folder stays, because nothing shows its owner.
func (h *Host) RemoveWithFolder(f File) (changed bool, err error) {
	r := Removal{File: f}
	h.RemoveWithFolders([]*Removal{&r})
	return r.Changed, r.Err
}

// RemoveWithFolders is [Host.RemoveWithFolder] for files in different folders, several in parallel. It waits once for all changes of a directory. A
// failure about one file does not stop the others.
func (h *Host) RemoveWithFolders(all []*Removal) {
	leavings := make([]leaving, len(all))
	Each(len(all), func(i int) {
		leavings[i] = leaving{Removal: all[i], in: folderOf(h, all[i].File)}
		leavings[i].begin()
	})
	sync := func() { h.syncParents(len(all), func(i int) (*folder, *error) { return leavings[i].moved() }) }
	sync() // else a crash may keep what follows, and lose what was begun
	Each(len(all), func(i int) { leavings[i].end() })
	sync()
	for _, r := range all {
		r.Err = h.Explain(r.File.Path, r.Err)
	}
}

// leaving is the removal of one file.
type leaving struct {
	*Removal
	in folder
	// hasFile is true if the folder was moved aside with the file in it.
	hasFile bool
	moves   bool
}

// begin moves the folder aside, or removes the file from a folder that stays.
func (l *leaving) begin() {
	found, err := l.in.look()
	if err == nil {
		err = l.in.clearAside()
	}
	switch {
	case err != nil:
		l.Err = err
	case len(found.Others) > 0 || len(found.ours) == 0:
		l.Changed, l.Err = l.in.host.Remove(l.File)
	default:
		l.Err = l.in.host.root.Rename(l.in.path, l.in.aside().path)
		l.moves, l.hasFile = l.Err == nil, found.Content != nil
	}
}

// end empties the folder that was moved aside, and removes it.
func (l *leaving) end() {
	if !l.moves || l.Err != nil {
		return
	}
	switch err := l.in.clearAside(); {
	case errors.Is(err, ErrForeign) || errors.Is(err, syscall.ENOTEMPTY): // others were there at the last moment
		l.Changed, l.Err = l.hasFile, l.in.putBack()
	case err != nil:
		l.Err = err
	default:
		l.Changed = l.hasFile
	}
}

func (l *leaving) moved() (*folder, *error) {
	if !l.moves || l.Err != nil {
		return nil, nil
	}
	return &l.in, &l.Err
}

// syncParents waits until the names of the moved folders are on disk, once for each directory that has some of them.
func (h *Host) syncParents(n int, moved func(i int) (*folder, *error)) {
	synced := make(map[string]error)
	for i := range n {
		in, failed := moved(i)
		if in == nil {
			continue
		}
		parent := path.Dir(in.path)
		if _, done := synced[parent]; !done {
			synced[parent] = h.root.syncDir(parent)
		}
		*failed = errors.Join(*failed, synced[parent])
	}
}
