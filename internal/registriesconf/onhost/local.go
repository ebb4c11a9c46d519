// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package onhost

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"

	"github.com/mirrorset/mirrorset/internal/hostfile"
)

// Path is that of our drop-in, below the host's root.
const Path = "etc/containers/registries.conf.d/50-mirrorset.conf"

// DropInDirs are the folders of drop-ins that CRI-O, Podman, Buildah and Skopeo read on a host, and baseFiles the files. The first
// base file counts, and of drop-ins with one name the first.
var (
	baseFiles  = []string{"etc/containers/registries.conf", "usr/share/containers/registries.conf"}
	DropInDirs = []string{
		"etc/containers/registries.rootful.conf.d", "etc/containers/registries.conf.d",
		"usr/share/containers/registries.rootful.conf.d", "usr/share/containers/registries.conf.d",
	}
)

// maxLocal bounds, in bytes, what is read of a file of others; a registries.conf of that size is a mistake.
const maxLocal = 16 << 20

// localFile is one registries.conf file on the host that is not ours.
type localFile struct {
	path    string
	content []byte
}

// local is what others have configured on the host: the base file, if there is one, and the drop-ins by name.
type local struct {
	base    *localFile
	dropIns map[string]localFile
}

// readLocal reads the files of others. What cannot be read is reported and left out, as it is no reason to stop.
func readLocal(host *hostfile.Host) (local, []error) {
	l := local{dropIns: make(map[string]localFile)}
	var problems []error
	read := func(name, at string) *localFile {
		content, err := host.ReadRegular(hostfile.Follow(host.FS(), at), maxLocal)
		if err == nil {
			return &localFile{path: name, content: content}
		}
		// A link that leads nowhere here may well lead to a file on the host.
		if _, link := fs.ReadLink(host.FS(), at); link == nil || !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("cannot read /%s of this host: %w", name, err))
		}
		return nil
	}
	for _, name := range baseFiles {
		if l.base = read(name, name); l.base != nil {
			break
		}
	}
	for _, dir := range slices.Backward(DropInDirs) {
		at := hostfile.Follow(host.FS(), dir)
		entries, err := host.ReadDir(at)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("cannot read the drop-ins of this host: %w", err))
		}
		for _, entry := range entries {
			name := path.Join(dir, entry.Name())
			if entry.IsDir() || !strings.HasSuffix(name, ".conf") || isOurs(host, path.Join(at, entry.Name())) {
				continue
			}
			if file := read(name, path.Join(at, entry.Name())); file != nil {
				l.dropIns[entry.Name()] = *file
			}
		}
	}
	return l, problems
}

// isOurs tells whether a drop-in is the file in the place of ours, which links of its folder or its own can lead to.
func isOurs(host *hostfile.Host, name string) bool {
	if name == Path {
		return true
	}
	ours, err := host.Lstat(Path)
	if err != nil {
		return false
	}
	other, err := fs.Stat(host.FS(), hostfile.Follow(host.FS(), name))
	return err == nil && os.SameFile(ours, other)
}

// tempPrefix begins the name of a temporary directory that files are tried in.
const tempPrefix = "mirrorset-preflight-"

// leftAfter is when such a directory is what a killed process left: to try the files takes milliseconds. Agents have theirs in memory, so that
// one that is killed again and again would fill it.
const leftAfter = 10 * time.Minute

// removeLeftovers removes the directories that killed processes left. One that stays is in nobody's way.
func removeLeftovers() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), tempPrefix+"*")) // it fails for a wrong pattern only
	for _, dir := range left {
		info, err := os.Lstat(dir)
		if err == nil && time.Since(info.ModTime()) > leftAfter {
			_ = os.RemoveAll(dir)
		}
	}
}

// errUntried is the error about files that could not even be tried.
var errUntried = errors.New("cannot test the registries.conf files in a temporary folder")

func untried(err error) error {
	return fmt.Errorf("%w: %w; make sure that %s is writable (on a node, this folder is in memory, which may be full)", errUntried, err, os.TempDir())
}

// load reads all files with the library that the consumers read them with, in a directory of its own.
func (l local) load() (_ *consumer, err error) {
	dir, err := os.MkdirTemp("", tempPrefix)
	if err != nil {
		return nil, untried(err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, untried(err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()

	const base, dropIns = "registries.conf", "registries.conf.d"
	content := []byte{}
	if l.base != nil {
		content = l.base.content
	}
	err = errors.Join(root.WriteFile(base, content, 0o600), root.Mkdir(dropIns, 0o700))
	for name, file := range l.dropIns {
		err = errors.Join(err, root.WriteFile(path.Join(dropIns, name), file.content, 0o600))
	}
	if err != nil {
		return nil, untried(err)
	}
	// Named like this, the paths win over the environment and over the home directory of this process.
	sys := &types.SystemContext{
		SystemRegistriesConfPath:    filepath.Join(dir, base),
		SystemRegistriesConfDirPath: filepath.Join(dir, dropIns),
	}
	sysregistriesv2.InvalidateCache()
	if _, err := sysregistriesv2.TryUpdatingCache(sys); err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), dir+"/", ""))
	}
	return &consumer{sys: sys}, nil
}

// takeNamesake removes the drop-in of others that has the name of ours, and returns it: the consumers read one file of a name, and
// ours hides it or the other way round. Consumers that do not know its folder read ours (N1).
func (l local) takeNamesake() (namesake localFile, hidesOurs, ok bool) {
	namesake, ok = l.dropIns[path.Base(Path)]
	delete(l.dropIns, path.Base(Path))
	return namesake, slices.Index(DropInDirs, path.Dir(namesake.path)) < slices.Index(DropInDirs, path.Dir(Path)), ok
}

// usable returns the files without those that the consumers' library refuses, the files by the prefixes of their tables, in the
// order in which they are read, and why files are refused.
func (l local) usable() (good local, owners map[string][]localFile, problems []error) {
	good, owners = local{dropIns: make(map[string]localFile)}, make(map[string][]localFile)
	check := func(file localFile) bool {
		alone, err := local{base: &file}.load()
		if err != nil {
			problems = append(problems, fmt.Errorf("/%s is broken, so every pull of CRI-O and Podman fails until the file is fixed: %w", file.path, err))
			return false
		}
		tables, _ := alone.tables() // they were just loaded
		for i := range tables {
			owners[tables[i].Prefix] = append(owners[tables[i].Prefix], file)
		}
		return true
	}
	if l.base != nil && check(*l.base) {
		good.base = l.base
	}
	for _, name := range slices.Sorted(maps.Keys(l.dropIns)) {
		if file := l.dropIns[name]; check(file) {
			good.dropIns[name] = file
		}
	}
	return good, owners, problems
}

// with returns the files and our drop-in beside them.
func (l local) with(text []byte) local {
	both := local{base: l.base, dropIns: maps.Clone(l.dropIns)}
	both.dropIns[path.Base(Path)] = localFile{path: Path, content: text}
	return both
}

// consumer answers what the loaded files say, out of the library's cache, which the next load empties.
type consumer struct {
	sys *types.SystemContext
}

// tables returns all that the files say.
func (c *consumer) tables() ([]sysregistriesv2.Registry, error) {
	return sysregistriesv2.GetRegistries(c.sys)
}

// covering returns the table that decides for all of a source.
func (c *consumer) covering(source string) (*sysregistriesv2.Registry, error) {
	return sysregistriesv2.FindRegistry(c.sys, source)
}
