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

// ReplaceInFolders is [Host.ReplaceInFolder] for files in different folders, several at once. Each step is done for all of them before the next one is, because
// a disk then makes many of them last in one go, and what is done to one directory for all is waited for once. A failure about one file does not stop the others.
func (h *Host) ReplaceInFolders(all []*Replacement) {
	placings := make([]placing, len(all))
	for i, r := range all {
		placings[i] = placing{Replacement: r, in: folderOf(h, r.File)}
	}
	each := func(step func(*placing)) { Each(len(all), func(i int) { step(&placings[i]) }) }
	syncParents := func() { h.syncParents(len(all), func(i int) (*folder, *error) { return placings[i].moved() }) }
	each((*placing).begin)
	syncParents()
	each((*placing).writeTemp)
	each((*placing).rename)
	each((*placing).sync)
	each((*placing).move)
	syncParents()
	for i, r := range all {
		placings[i].end()
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
	// file is the one that is written, in its place or aside; without a path it stays as it is.
	file File
}

// begin finds out what there is, and makes the folder aside if it is to be made.
func (p *placing) begin() {
	if p.have, p.Err = p.in.look(); p.Err != nil {
		return
	}
	if p.Err = p.in.clearAside(); p.Err != nil {
		return
	}
	root := p.in.host.root
	switch {
	case p.have.Content == nil && len(p.have.Others) == 0:
		p.moves, p.file = true, p.in.aside().file()
		if p.Err = root.makeDir(path.Dir(p.in.path)); p.Err == nil {
			p.Err = root.mkdir(p.in.aside().path, p.File.dirMode())
		}
	case p.have.mode != p.File.mode() || !bytes.Equal(p.have.Content, p.Content):
		p.file = p.File
	case p.have.HasLeftover:
		p.Err = root.removeTemp(p.File.Path + tempSuffix)
	}
}

// isWritten reports whether the file is to be written and nothing has failed yet.
func (p *placing) isWritten() bool {
	return p.Err == nil && p.file.Path != ""
}

func (p *placing) writeTemp() {
	if p.isWritten() {
		p.Err = p.in.host.writeTemp(p.file, p.Content)
	}
}

// rename has a reader of a file that is in its place see the new one.
func (p *placing) rename() {
	if p.isWritten() {
		p.Err = p.in.host.renameTemp(p.file)
		p.Changed = p.Err == nil && !p.moves
	}
}

func (p *placing) sync() {
	if p.isWritten() {
		p.Err = p.in.host.root.syncDir(path.Dir(p.file.Path))
	}
}

// move has the folder take its place. An empty folder that is in the way goes
// first, because [os.Root.Rename] replaces none; until then there is no folder, which hides nothing.
func (p *placing) move() {
	if !p.moves || p.Err != nil {
		return
	}
	if p.Err = p.in.removeFiles(p.have.ours); p.Err == nil {
		p.Err = p.in.host.root.Rename(p.in.aside().path, p.in.path)
	}
	p.Changed = p.Err == nil
}

// end leaves nothing aside of a folder that could not be made, and keeps others out of one that was there.
func (p *placing) end() {
	switch {
	case p.Err != nil && p.moves && !p.Changed:
		p.Err = errors.Join(fmt.Errorf("creating the folder %s: %w", p.in.path, p.Err), p.in.clearAside())
	case p.Err == nil && !p.moves && p.File.Private && len(p.have.Others) == 0:
		p.Err = p.in.close()
	}
}

// moved returns the folder whose name has changed, or is about to, and what failed about it; nil where none has.
func (p *placing) moved() (*folder, *error) {
	if !p.moves || p.Err != nil {
		return nil, nil
	}
	return &p.in, &p.Err
}
