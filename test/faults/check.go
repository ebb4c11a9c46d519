// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/grants/onhost"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	dropin "github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
	"github.com/mirrorset/mirrorset/test/enclosure"
)

// judge knows what may be on a host while an agent brings it from one tree to another.
type judge struct {
	before, after tree
	blocked       []string // the registries that are closed all the time
}

// whileKilled returns what is wrong with a host on which an agent was killed.
func (j judge) whileKilled(root string) (wrong []string, err error) {
	now, err := read(root)
	if err != nil {
		return nil, err
	}
	for _, name := range j.names(now) {
		if text := j.aboutPath(now, name); text != "" {
			wrong = append(wrong, text)
		}
	}
	for _, registry := range j.blocked {
		file := now[path.Join(certsDir, registry, "hosts.toml")]
		if file == nil || !certsd.Closes(certsd.HostOf(registry), file.content) {
			wrong = append(wrong, fmt.Sprintf("registry %s is open: its hosts.toml is %s", registry, file))
		}
	}
	return append(wrong, readable(root, now)...), nil
}

// names are the names of all files and folders that existed before, should exist, or exist.
func (j judge) names(now tree) []string {
	all := maps.Clone(j.before)
	maps.Copy(all, j.after)
	maps.Copy(all, now)
	return slices.Sorted(maps.Keys(all))
}

// aboutPath compares a file or a folder with the one before, and with the one that should be there.
func (j judge) aboutPath(now tree, name string) string {
	was, is, willBe := j.before[name], now[name], j.after[name]
	switch {
	case is == nil && was != nil && willBe != nil:
		return name + " is gone"
	case is == nil:
		return ""
	case was == nil && willBe == nil:
		if !isAside(name) {
			return fmt.Sprintf("%s is there, which is %s", name, is)
		}
		return ""
	case is.mode.IsDir():
		return j.aboutFolder(now, name)
	case was.equal(is), willBe != nil && is.mode == willBe.mode && now.plain(name) == j.after.plain(name):
		return ""
	}
	return fmt.Sprintf("%s is neither as it was nor as it is to be, but %s", name, is)
}

// isAside reports whether a name is that of a file or folder that an agent has put aside, or is inside one.
func isAside(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), hostfile.IsTemporary)
}

// aboutFolder requires that the folder of a registry has its file, because the folder alone hides the default that replaces it.
func (j judge) aboutFolder(now tree, name string) string {
	file := map[string]string{certsDir: "hosts.toml", onhost.CertsDir: onhost.CertFile}[path.Dir(name)]
	if file == "" || now[path.Join(name, file)] != nil {
		return ""
	}
	return fmt.Sprintf("%s is there without its %s", name, file)
}

// readable returns what those who read the files cannot read.
func readable(root string, now tree) (wrong []string) {
	for _, name := range slices.Sorted(maps.Keys(now)) {
		folder, base := path.Split(name)
		if base == "hosts.toml" && !isAside(name) {
			if _, err := certsd.Parse(certsd.HostOf(path.Base(folder)), now[name].content); err != nil {
				wrong = append(wrong, fmt.Sprintf("containerd cannot read %s: %v", name, err))
			}
		}
	}
	if file := now[onhost.AuthFile]; file != nil && (file.mode != 0o600 || !json.Valid(file.content)) {
		wrong = append(wrong, fmt.Sprintf("%s is no private file of JSON: it has the mode %v and %d bytes", onhost.AuthFile, file.mode, len(file.content)))
	}
	base := filepath.Join(enclosure.Memory, "registries.conf") // which a host may be without, and this library here not
	if err := os.WriteFile(base, nil, 0o600); err != nil {
		return append(wrong, err.Error())
	}
	sysregistriesv2.InvalidateCache()
	if _, err := sysregistriesv2.TryUpdatingCache(&types.SystemContext{
		SystemRegistriesConfPath: base, SystemRegistriesConfDirPath: filepath.Join(root, path.Dir(dropin.Path)),
	}); err != nil {
		wrong = append(wrong, fmt.Sprintf("CRI-O and Podman cannot read their configuration: %v", err))
	}
	return wrong
}

// isFinished reports whether a host is as it should be, to the last file and folder.
func (j judge) isFinished(now tree) bool {
	return len(j.unfinished(now)) == 0
}

// unfinished returns where a host is not as it should be.
func (j judge) unfinished(now tree) (wrong []string) {
	for _, name := range j.names(now) {
		is, willBe := now[name], j.after[name]
		if is == nil && willBe == nil {
			continue
		}
		if is == nil || willBe == nil || is.mode != willBe.mode || now.plain(name) != j.after.plain(name) {
			wrong = append(wrong, fmt.Sprintf("in the end %s is %s", name, is))
		}
	}
	return wrong
}

// equal compares two files.
func (n *node) equal(other *node) bool {
	return n != nil && n.mode == other.mode && string(n.content) == string(other.content)
}

// String says what it is, in a few words. There is no secret on these hosts.
func (n *node) String() string {
	const most = 2000
	switch {
	case n == nil:
		return "not there"
	case n.mode&fs.ModeType != 0:
		return n.mode.String()
	}
	return fmt.Sprintf("a file of mode %v and %d bytes:\n%.*s", n.mode, len(n.content), most, n.content)
}
