// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/mirrorset/mirrorset/internal/nodecheck/hostview"
)

// file is one of containerd's configuration files.
type file struct {
	path string // below the host's root
	tables
}

// loaded is containerd's configuration: the main file first, then those that it imports, in the order in which they count.
type loaded struct {
	files   []file
	changed time.Time // the latest change of any of them
}

// loader reads containerd's configuration.
type loader struct {
	root    fs.FS
	main    string // the file that imports the others
	restart string // how containerd is started again
	found   *Report
}

// load reads the configuration as containerd does, but for files that cannot be read: these become problems.
func (l *loader) load() loaded {
	var all loaded
	pending, seen := []string{l.main}, make(map[string]bool)
	for len(pending) > 0 {
		name := pending[0]
		pending = pending[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		if len(seen) > maxFiles {
			l.unreadable(l.main, fmt.Errorf("it imports more than %d files", maxFiles))
			break
		}
		f := file{path: name}
		changed, err := hostview.ReadTOML(l.root, name, &f.tables)
		switch {
		case errors.Is(err, fs.ErrNotExist) && len(all.files) > 0:
			l.unseen(name)
			continue
		case err != nil:
			l.unreadable(name, err)
			continue
		}
		if changed.After(all.changed) {
			all.changed = changed
		}
		all.files = append(all.files, f)
		pending = append(pending, l.imports(f)...)
	}
	return all
}

// imports returns the files that a file names. Only a star makes a pattern.
func (l *loader) imports(f file) (names []string) {
	for _, name := range f.Imports {
		if !path.IsAbs(name) {
			name = path.Join("/", path.Dir(f.path), name)
		}
		name = hostview.Path(name)
		if !strings.Contains(name, "*") {
			names = append(names, name)
			continue
		}
		matches, err := fs.Glob(l.root, name)
		if err != nil {
			l.unreadable(f.path, fmt.Errorf("imports %s: %w", quote(name), err))
		}
		if len(matches) == 0 && !l.within(name) {
			l.unseen(name)
		}
		names = append(names, matches...)
	}
	return names
}

// within reports if the folder of a pattern can be seen: then no match means that there is no file.
func (l *loader) within(pattern string) bool {
	folder, _, _ := strings.Cut(pattern, "*")
	folder = path.Dir(folder + "x")
	if strings.HasPrefix(folder, path.Dir(l.main)+"/") {
		return true
	}
	_, err := fs.Stat(l.root, folder)
	return err == nil
}

func (l *loader) unreadable(name string, err error) {
	l.found.find(Problem{
		Reason: ContainerdConfigUnreadable, Runtime: Containerd, Effect: Unsure,
		Message: fmt.Sprintf("/%s cannot be read (%s), so it is unknown what containerd reads, and if it would start again", clip(name), why(err)),
		Remedy:  fmt.Sprintf("Fix /%s, then run: %s", clip(name), l.restart),
	})
}

func (l *loader) unseen(name string) {
	l.found.find(Problem{
		Reason: ContainerdImportUnseen, Runtime: Containerd, Effect: Unsure,
		Message: fmt.Sprintf("containerd's configuration imports /%s, which does not exist or is not visible from here, and which could set another config_path", clip(name)),
		Remedy:  fmt.Sprintf("Remove the file from the imports, or move it to /%s, then run: %s", path.Dir(l.main), l.restart),
	})
}
