// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package ondisk

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/hostfile"
)

// Written is the result of writing or removing a file.
type Written struct {
	Changed bool
	// Err is a [*Foreign] if others configure that registry.
	Err error
}

// Says reports if the file is present, exactly as it is written.
func (d *Folder) Says(f certsd.File) bool {
	seen := d.seen[path.Dir(f.Path)]
	return seen.hasFile && seen.isRight && seen.err == nil && seen.sum == sha256.Sum256(f.Content)
}

// Write puts files in place, each with its folder, and reads them back as containerd does. A failure about one file does not stop the others.
func (d *Folder) Write(files ...certsd.File) []Written {
	results := make([]Written, len(files))
	if len(files) == 0 {
		return results
	}
	at, err := d.host.Sub(d.dir)
	if err != nil {
		for i := range results {
			results[i].Err = err
		}
		return results
	}
	defer func() { _ = at.Close() }() // it was only a handle; each file is closed by itself
	before := make([]registry, len(files))
	hostfile.Each(len(files), func(i int) { before[i], results[i].Err = d.lookAgain(at, files[i].Host) })
	var all []*hostfile.Replacement
	var of []int // which of the files each is for
	for i, f := range files {
		if results[i].Err == nil {
			all, of = append(all, &hostfile.Replacement{File: fileIn(path.Dir(f.Path)), Content: f.Content}), append(of, i)
		}
	}
	at.ReplaceInFolders(all)
	hostfile.Each(len(all), func(i int) {
		f, r := files[of[i]], all[i]
		if results[of[i]] = (Written{r.Changed, r.Err}); r.Err == nil {
			before[of[i]], results[of[i]].Err = readBack(at, f, r.Changed, before[of[i]])
		}
	})
	for i, f := range files {
		d.saw(path.Dir(f.Path), before[i])
	}
	return results
}

// saw records the state of a registry's folder.
func (d *Folder) saw(folder string, now registry) {
	if !now.exists {
		delete(d.seen, folder)
		return
	}
	if d.seen == nil {
		d.seen = make(map[string]registry)
	}
	d.seen[folder] = now
}

// lookAgain returns the present content of a registry's folder. It fails with a [*Foreign] if others configure that registry.
func (d *Folder) lookAgain(at *hostfile.Host, host string) (first registry, err error) {
	first = look(at, certsd.Folders(host)[0], d.seen[certsd.Folders(host)[0]])
	return first, d.judge(host, func(folder string) registry {
		if folder == certsd.Folders(host)[0] {
			return first
		}
		return look(at, folder, registry{})
	})
}

// readBack returns the content of the folder of a registry whose file was put in place.
func readBack(at *hostfile.Host, f certsd.File, changed bool, before registry) (registry, error) {
	file := fileIn(path.Dir(f.Path))
	now := registry{exists: true, isFolder: true, hasFile: true, others: before.others, sum: sha256.Sum256(f.Content), depends: before.depends}
	if !changed {
		return now, nil
	}
	content, err := at.Read(file)
	if err != nil {
		return now, err
	}
	if !bytes.Equal(content, f.Content) {
		return now, fmt.Errorf("the content of /%s is not what the agent wrote", at.Path(file.Path))
	}
	endpoints, err := certsd.Parse(f.Host, content)
	if err != nil {
		return now, fmt.Errorf("containerd cannot read /%s: %w", at.Path(file.Path), err)
	}
	now.depends = certsd.DependOnRedirector(endpoints)
	return now, nil
}

// Remove removes the files from registries' folders, and each folder if nothing else is in it. A failure about one file does not stop the others.
func (d *Folder) Remove(folders ...string) []Written {
	results := make([]Written, len(folders))
	if len(folders) == 0 {
		return results
	}
	at, err := d.host.Sub(d.dir)
	if err != nil {
		for i := range results {
			results[i].Err = err
		}
		return results
	}
	defer func() { _ = at.Close() }() // it was only a handle
	all := make([]*hostfile.Removal, len(folders))
	for i, folder := range folders {
		all[i] = &hostfile.Removal{File: fileIn(folder)}
	}
	at.RemoveWithFolders(all)
	for i, r := range all {
		results[i] = Written{r.Changed, r.Err}
		d.saw(folders[i], look(at, folders[i], registry{}))
	}
	return results
}
