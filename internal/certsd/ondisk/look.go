// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package ondisk

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"path"
	"slices"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/hostfile"
)

// registry is the state of a registry's folder at the last look.
type registry struct {
	exists, isFolder bool
	// others are the names that are not ours, without leftovers of a killed process that would block the next file. They are all names if there is no
	// folder.
	others []string
	// hasFile is true if there is a file of ours. isBegun is true if a killed process began to write one and nothing else is there.
	hasFile, isBegun bool
	// err is why nothing more is known: [hostfile.ErrForeign] if the file is not ours.
	err error
	// sum is the sum of the file, and isRight is true if it is on disk as we write it. depends is [certsd.Depends] of the file.
	sum     [sha256.Size]byte
	isRight bool
	depends bool
	// folder and file are the stamps of all this. Without them, it must be read again.
	folder, file hostfile.Stamp
	isStamped    bool
}

// all are the names of what is there, in byte order.
func (r registry) all() []string {
	if r.hasFile || r.isFolder && errors.Is(r.err, hostfile.ErrForeign) {
		return slices.Sorted(slices.Values(append([]string{hostsFile}, r.others...)))
	}
	return r.others
}

// Look finds out what is in the folder. It does not read unchanged files again.
func (d *Folder) Look() error {
	names, err := d.host.Names(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		d.seen, d.hasLeftovers = nil, false
		return nil
	}
	if err != nil {
		return err
	}
	at, err := d.host.Sub(d.dir)
	if err != nil {
		return err
	}
	seen := make(map[string]registry, len(names))
	d.hasLeftovers = false
	for _, name := range names {
		if hostfile.IsTemporary(name) {
			d.hasLeftovers = true
		} else {
			seen[name] = look(at, name, d.seen[name])
		}
	}
	d.seen = seen
	return at.Close()
}

// look returns the state of a registry's folder, given the state before, which may be unknown.
func look(at *hostfile.Host, folder string, before registry) (now registry) {
	file := fileIn(folder)
	folderStamp, isFolderKnown := at.Stamp(folder)
	fileStamp, isFileKnown := at.Stamp(file.Path)
	if before.isStamped && before.folder == folderStamp && before.file == fileStamp {
		return before
	}
	info, err := at.Lstat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return registry{}
	}
	now = registry{exists: true, isFolder: err == nil && info.IsDir(), folder: folderStamp, file: fileStamp}
	if !now.isFolder { // containerd would follow a link
		now.others, now.err = linked(at, folder), err
		return now
	}
	in, err := at.LookInFolder(file)
	now.others = withoutTemporary(in.Others)
	now.hasFile, now.isRight = in.Content != nil, in.IsRight
	if now.err = err; err != nil && !errors.Is(err, hostfile.ErrForeign) {
		return now
	}
	now.isBegun = !now.hasFile && err == nil && len(now.others) == 0 && (in.HasLeftover || len(in.Others) > 0)
	isGone := !now.hasFile && err == nil && fileStamp == hostfile.Stamp{}
	now.isStamped = isFolderKnown && (isFileKnown || isGone)
	now.holds(folder, in.Content, before)
	return now
}

// holds takes note of the content of the file.
func (r *registry) holds(folder string, content []byte, before registry) {
	if !r.hasFile {
		return
	}
	r.sum = sha256.Sum256(content)
	if before.hasFile && before.sum == r.sum {
		r.depends = before.depends
	} else {
		r.depends = certsd.Depends(certsd.HostOf(folder), content)
	}
}

// linked returns what is in the folder that a link leads to.
func linked(at *hostfile.Host, folder string) (names []string) {
	entries, err := hostfile.ReadDir(at.FS(), folder)
	if err != nil {
		return nil // not there, mostly; what cannot be read fails the write
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return withoutTemporary(names)
}

func withoutTemporary(names []string) []string {
	return slices.DeleteFunc(names, hostfile.IsTemporary)
}

// fileIn is the file of a registry's folder. It can contain the element that opens the redirector (N10).
func fileIn(folder string) hostfile.File {
	return hostfile.File{Path: path.Join(folder, hostsFile), Marker: certsd.Marker, Private: true}
}
