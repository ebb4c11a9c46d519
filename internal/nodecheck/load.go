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

// loadContainerd reads the configuration as containerd does, but for files that cannot be read: these become problems.
func (c *checker) loadContainerd() loaded {
	var l loaded
	pending, seen := []string{c.ContainerdConfig}, make(map[string]bool)
	for len(pending) > 0 {
		name := pending[0]
		pending = pending[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		if len(seen) > maxFiles {
			c.unreadable(c.ContainerdConfig, fmt.Errorf("it imports more than %d files", maxFiles))
			break
		}
		f := file{path: name}
		changed, err := readTOML(c.Root, name, &f.tables)
		switch {
		case errors.Is(err, fs.ErrNotExist) && len(l.files) > 0:
			c.unseen(name)
			continue
		case err != nil:
			c.unreadable(name, err)
			continue
		}
		if changed.After(l.changed) {
			l.changed = changed
		}
		l.files = append(l.files, f)
		pending = append(pending, c.imports(f)...)
	}
	return l
}

// imports returns the files that a file names. Only a star makes a pattern.
func (c *checker) imports(f file) (names []string) {
	for _, name := range f.Imports {
		if !path.IsAbs(name) {
			name = path.Join("/", path.Dir(f.path), name)
		}
		name = relative(name)
		if !strings.Contains(name, "*") {
			names = append(names, name)
			continue
		}
		matches, err := fs.Glob(c.Root, name)
		if err != nil {
			c.unreadable(f.path, fmt.Errorf("imports %s: %w", quote(name), err))
		}
		if len(matches) == 0 && !c.within(name) {
			c.unseen(name)
		}
		names = append(names, matches...)
	}
	return names
}

// within tells whether the folder of a pattern is one that can be seen: then no match means that there is none.
func (c *checker) within(pattern string) bool {
	folder, _, _ := strings.Cut(pattern, "*")
	folder = path.Dir(folder + "x")
	if strings.HasPrefix(folder, path.Dir(c.ContainerdConfig)+"/") {
		return true
	}
	_, err := fs.Stat(c.Root, folder)
	return err == nil
}

func (c *checker) unreadable(name string, err error) {
	c.find(Problem{
		Reason: ContainerdConfigUnreadable, Runtime: Containerd, Effect: Unsure,
		Message: fmt.Sprintf("/%s cannot be read (%s), so nothing tells what containerd reads, and whether it starts again", clip(name), why(err)),
		Remedy:  fmt.Sprintf("Mend /%s, then run: %s", clip(name), c.distribution().restart),
	})
}

func (c *checker) unseen(name string) {
	c.find(Problem{
		Reason: ContainerdImportUnseen, Runtime: Containerd, Effect: Unsure,
		Message: fmt.Sprintf("/%s is imported by containerd's configuration, but is not there or cannot be seen from here, and it could set another config_path", clip(name)),
		Remedy:  fmt.Sprintf("Take it off the imports, or move it to /%s, then run: %s", path.Dir(c.ContainerdConfig), c.distribution().restart),
	})
}
