// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"bytes"
	"errors"
	"fmt"
	"path"
)

// Replacement is the intended content of a file, and the result of writing it.
type Replacement struct {
	File    File
	Content []byte
	// Changed reports if anything changed.
	Changed bool
	Err     error
}

// ReplaceInFolder is [Host.Replace] for a file whose folder must never be seen without it, not even after a crash. If a registry's folder has no
// hosts.toml, containerd contacts the source and bypasses a _default that blocks it. If the folder is missing, is empty, or holds only leftovers of a
// killed process, it appears with the file in it. In any other folder, the file is replaced. ReplaceInFolder also fails with [ErrForeign] if
// something else, such as a link, is in the folder's place.
func (h *Host) ReplaceInFolder(f File, content []byte) (changed bool, err error) {
	r := Replacement{File: f, Content: content}
	h.ReplaceInFolders([]*Replacement{&r})
	return r.Changed, r.Err
}

// ReplaceInFolders is [Host.ReplaceInFolder] for files in different folders, several in parallel. It does each step for all of them before the next
// step. A disk can then flush many changes together, and each directory is waited for once. A failure about one file does not stop the others.
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
	// moves is true if the folder is made aside, and then moved to its place.
	moves bool
	// file is the file to write, in its place or aside; without a path, the file stays unchanged.
	file File
}

// begin looks at the present state, and makes the folder aside if necessary.
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

// isWritten reports if the file must be written and nothing has failed yet.
func (p *placing) isWritten() bool {
	return p.Err == nil && p.file.Path != ""
}

func (p *placing) writeTemp() {
	if p.isWritten() {
		p.Err = p.in.host.writeTemp(p.file, p.Content)
	}
}

// rename makes the new content of an existing file visible.
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

// move puts the folder in its place. It first removes an empty folder that is in the way, because [os.Root.Rename] replaces no folder. Until the
// move, there is no folder, which hides nothing.
func (p *placing) move() {
	if !p.moves || p.Err != nil {
		return
	}
	if p.Err = p.in.removeFiles(p.have.ours); p.Err == nil {
		p.Err = p.in.host.root.Rename(p.in.aside().path, p.in.path)
	}
	p.Changed = p.Err == nil
}

// end removes the rest of a folder that could not be made, and keeps others out of an existing one.
func (p *placing) end() {
	switch {
	case p.Err != nil && p.moves && !p.Changed:
		p.Err = errors.Join(fmt.Errorf("creating the folder %s: %w", p.in.path, p.Err), p.in.clearAside())
	case p.Err == nil && !p.moves && p.File.Private && len(p.have.Others) == 0:
		p.Err = p.in.close()
	}
}

// moved returns the folder whose name has changed, or is about to, and its error; nil if no name changes.
func (p *placing) moved() (*folder, *error) {
	if !p.moves || p.Err != nil {
		return nil, nil
	}
	return &p.in, &p.Err
}
