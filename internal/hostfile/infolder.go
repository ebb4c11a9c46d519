// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"bytes"
	"errors"
	"fmt"
	"path"
)

// Replacement is what a file is to be, and what came of that.
type Replacement struct {
	File    File
	Content []byte
	// Changed reports whether anything was changed.
	Changed bool
	Err     error
}

// ReplaceInFolder is [Host.Replace] for a file whose folder must never be seen without it, after a crash neither: where a
// registry's folder has no hosts.toml, containerd goes to the source, past a _default that blocks it. A folder that is missing,
// empty, or holds nothing but what a killed process left, appears with the file in it; in any other the file is replaced.
// It fails with [ErrForeign] also where something else, such as a link, stands in the folder's place.
func (h *Host) ReplaceInFolder(f File, content []byte) (changed bool, err error) {
	r := Replacement{File: f, Content: content}
	h.ReplaceInFolders([]*Replacement{&r})
	return r.Changed, r.Err
}

// ReplaceInFolders is [Host.ReplaceInFolder] for files in different folders, several at once. What is done to one directory for all of them is waited for
// once. A failure about one file does not stop the others.
func (h *Host) ReplaceInFolders(all []*Replacement) {
	placings := make([]placing, len(all))
	Each(len(all), func(i int) {
		placings[i] = placing{Replacement: all[i], in: folderOf(h, all[i].File)}
		placings[i].begin()
	})
	h.syncParents(len(all), func(i int) (*folder, *error) { return placings[i].moved() })
	Each(len(all), func(i int) { placings[i].write() })
	h.syncParents(len(all), func(i int) (*folder, *error) { return placings[i].moved() })
	for _, r := range all {
		r.Err = h.Explain(r.File.Path, r.Err)
	}
}

// placing is the replacement of one file.
type placing struct {
	*Replacement
	in   folder
	have Contents
	// moves says that the folder is made aside, and then takes its place.
	moves bool
}

// begin finds out what there is, and makes the folder aside if it is to be made.
func (p *placing) begin() {
	if p.have, p.Err = p.in.look(); p.Err != nil {
		return
	}
	if p.Err = p.in.clearAside(); p.Err != nil || p.have.Content != nil || len(p.have.Others) > 0 {
		return
	}
	p.moves = true
	root := p.in.host.root
	if p.Err = root.makeDir(path.Dir(p.in.path), dirMode); p.Err == nil {
		p.Err = root.mkdir(p.in.aside().path, p.File.dirMode())
	}
	p.fail()
}

// write replaces the file, or has the folder take its place with the file in it.
func (p *placing) write() {
	switch {
	case p.Err != nil:
		p.fail()
	case p.moves:
		p.Err = p.moveIn()
		p.Changed = p.Err == nil
		p.fail()
	default:
		p.Changed, p.Err = p.replace()
	}
}

// moved returns the folder whose name has changed, or is about to, and what failed about it; nil where none has.
func (p *placing) moved() (*folder, *error) {
	if !p.moves {
		return nil, nil
	}
	return &p.in, &p.Err
}

// fail leaves nothing aside of a folder that could not be made.
func (p *placing) fail() {
	if p.moves && p.Err != nil {
		p.Err = errors.Join(fmt.Errorf("making the folder %s: %w", p.in.path, p.Err), p.in.clearAside())
		p.moves = false
	}
}

func (p *placing) replace() (changed bool, err error) {
	host, isSame := p.in.host, bytes.Equal(p.have.Content, p.Content) && p.have.mode == p.File.mode()
	switch {
	case isSame && p.have.IsRight:
		return false, nil
	case isSame:
		err = host.root.removeTemp(p.File.Path + tempSuffix)
	default:
		changed, err = host.put(p.File, p.Content)
	}
	if err == nil && p.File.Private && len(p.have.Others) == 0 {
		err = p.in.close()
	}
	return changed, err
}

// moveIn writes the file in the folder aside, and renames that into its place. An empty folder that is in the way goes
// first, because [os.Root.Rename] replaces none; until then there is no folder, which hides nothing.
func (p *placing) moveIn() error {
	made := p.in.aside()
	if _, err := p.in.host.put(made.file(), p.Content); err != nil {
		return err
	}
	if err := p.in.removeFiles(p.have.ours); err != nil {
		return err
	}
	return p.in.host.root.Rename(made.path, p.in.path)
}
