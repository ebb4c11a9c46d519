// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/route"
)

// node is a file or a folder of a host.
type node struct {
	mode    fs.FileMode
	content []byte // of a file
}

// tree is what a host holds, by the path below its root, but for the lock.
type tree map[string]*node

// read returns what a host holds now. An agent may be writing: what is gone meanwhile is not in it.
func read(root string) (tree, error) {
	found := make(tree)
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		path, relErr := filepath.Rel(root, name)
		if err = errors.Join(err, relErr); err != nil || path == "." || path == lockFile {
			return err
		}
		info, err := entry.Info()
		n := &node{}
		if err == nil {
			n.mode = info.Mode()
			if n.mode.IsRegular() {
				n.content, err = os.ReadFile(name)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		found[path] = n
		return err
	})
	return found, err
}

// write makes a new host of it.
func (t tree) write(root string) error {
	failed := []error{os.Mkdir(root, 0o755)}
	for _, name := range slices.Sorted(maps.Keys(t)) { // a folder before what is in it
		path := filepath.Join(root, name)
		if t[name].mode.IsDir() {
			failed = append(failed, os.Mkdir(path, 0o755))
		} else {
			failed = append(failed, os.WriteFile(path, t[name].content, 0o600))
		}
		failed = append(failed, os.Chmod(path, t[name].mode.Perm()))
	}
	return errors.Join(failed...)
}

// files returns how many files there are.
func (t tree) files() (n int) {
	for _, entry := range t {
		if entry.mode.IsRegular() {
			n++
		}
	}
	return n
}

// keys are those of the redirector.
type keys struct {
	Current  string    `json:"current"`
	Previous string    `json:"previous,omitempty"`
	Since    time.Time `json:"since"`
}

func (t tree) keys() (k keys, err error) {
	if file := t[keysFile]; file != nil {
		err = json.Unmarshal(file.content, &k)
	}
	return k, err
}

// entry is a path of the redirector in a hosts.toml. The part before its name is made with the key.
var entry = regexp.MustCompile(`/v2/_mirrorset/[0-9a-f]+/([a-z0-9-]+)`)

// plain returns a file's content with what is made with the redirector's present key in the same words on every host.
func (t tree) plain(path string) string {
	k, err := t.keys()
	content := string(t[path].content)
	if err != nil || k.Current == "" {
		return content
	}
	if path == keysFile {
		return "KEY after " + k.Previous
	}
	registry := certsd.HostOf(filepath.Base(filepath.Dir(path)))
	return entry.ReplaceAllStringFunc(content, func(found string) string {
		name := entry.FindStringSubmatch(found)[1]
		if found != route.Key(k.Current).Path(registry, route.Entry(name)) {
			return found
		}
		return "KEY/" + name
	})
}
