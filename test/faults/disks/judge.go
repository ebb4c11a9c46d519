// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mirrorset/mirrorset/internal/certsd"
)

// tree is what a host has where the agent writes, by path: the kind of each file, and what a regular one says.
type tree map[string]string

// places are the folders that the agent writes to.
var places = []string{"etc/containers", "etc/containerd/certs.d", "var/lib/mirrorset"}

// What is another one on every host: the key in a path of the redirector, its port, and the revision.
var (
	keyed    = regexp.MustCompile(`/v2/_mirrorset/[0-9a-f]+/`)
	port     = regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*`)
	revision = regexp.MustCompile(`"revision":[0-9]+`)
)

// read returns what the host has. What is in the place of a folder is not entered.
func (n *node) read() (tree, error) {
	found := make(tree)
	for _, place := range places {
		err := filepath.WalkDir(n.path(place), func(name string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && strings.HasSuffix(name, "/lock") {
				return nil
			}
			if err != nil {
				return err
			}
			path, err := filepath.Rel(n.root, name)
			if err != nil {
				return err
			}
			says := entry.Type().String()
			if entry.Type().IsRegular() {
				content, err := os.ReadFile(name)
				if errors.Is(err, fs.ErrNotExist) {
					return nil
				}
				if err != nil {
					return err
				}
				says = plain(path, string(content))
			}
			found[path] = says
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// plain has what is made on each host in the same words.
func plain(path, content string) string {
	if filepath.Base(path) == "redirector-keys.json" {
		return "keys"
	}
	content = keyed.ReplaceAllString(content, "/v2/_mirrorset/KEY/")
	return revision.ReplaceAllString(port.ReplaceAllString(content, "127.0.0.1:PORT"), `"revision":N`)
}

// unlike returns where a host is not as it should be.
func (is tree) unlike(wanted tree) (wrong []string) {
	all := maps.Clone(is)
	maps.Copy(all, wanted)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if is[path] != wanted[path] {
			wrong = append(wrong, fmt.Sprintf("%s is %q and is to be %q", path, is[path], wanted[path]))
		}
	}
	return wrong
}

// torn returns what on a sick host is neither as before nor as it should be. It leaves out what a case put there.
func (n *node) torn(before, after tree, f fault) (wrong []string, err error) {
	is, err := n.read()
	if err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(is)) {
		isBetween := path == logins && json.Valid([]byte(is[path])) // of the Secret as it is now, and the rules from before
		if is[path] != before[path] && is[path] != after[path] && !f.put(path) && !isBetween {
			wrong = append(wrong, fmt.Sprintf("%s is %q, which is neither as before nor as it is to be", path, is[path]))
		}
	}
	return wrong, nil
}

// open fails if a blocked registry is open, unless a case removed its file.
func (n *node) open(f fault) error {
	for _, registry := range blocked {
		if registry == f.taken || f.taken == "all" {
			continue
		}
		content, err := os.ReadFile(n.path(certs + "/" + registry + "/hosts.toml"))
		if err != nil || !certsd.Closes(registry, content) {
			return fmt.Errorf("registry %s is open: %w\n%s", registry, err, content)
		}
	}
	return nil
}

// trap notices every process that reads or writes a folder.
type trap struct {
	descriptor int
}

// setTrap fills a folder, and watches it.
func setTrap(folder string) (*trap, error) {
	for _, name := range []string{"precious", "folder/precious"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("precious\n"), 0o644); err != nil {
			return nil, err
		}
	}
	descriptor, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	for _, name := range []string{folder, filepath.Join(folder, "folder")} {
		_, addErr := unix.InotifyAddWatch(descriptor, name, unix.IN_ALL_EVENTS)
		err = errors.Join(err, addErr)
	}
	return &trap{descriptor}, err
}

// sprung returns how often that happened.
func (t *trap) sprung() (bytes int, err error) {
	buffer := make([]byte, 1<<16)
	bytes, err = unix.Read(t.descriptor, buffer)
	if errors.Is(err, unix.EAGAIN) {
		return 0, nil
	}
	return bytes, err
}

func (t *trap) close() error {
	return unix.Close(t.descriptor)
}
