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

// Path is the path of our drop-in, below the host's root.
const Path = "etc/containers/registries.conf.d/50-mirrorset.conf"

// DropInDirs are the folders of drop-ins that CRI-O, Podman, Buildah and Skopeo read on a host, and baseFiles are the files. The first base
// file that exists counts. If several drop-ins have one name, the first counts.
var (
	baseFiles  = []string{"etc/containers/registries.conf", "usr/share/containers/registries.conf"}
	DropInDirs = []string{
		"etc/containers/registries.rootful.conf.d", "etc/containers/registries.conf.d",
		"usr/share/containers/registries.rootful.conf.d", "usr/share/containers/registries.conf.d",
	}
)

// maxLocal is the limit, in bytes, for reading a file of others. A larger registries.conf is a mistake.
const maxLocal = 16 << 20

// localFile is one registries.conf file on the host that is not ours.
type localFile struct {
	path    string
	content []byte
}

// local is the configuration of others on the host: the base file, if there is one, and the drop-ins by name.
type local struct {
	base    *localFile
	dropIns map[string]localFile
}

// readLocal reads the files of others. It reports files that it cannot read and leaves them out, because they are no reason to stop.
func readLocal(host *hostfile.Host) (local, []error) {
	l := local{dropIns: make(map[string]localFile)}
	var problems []error
	read := func(name, at string) *localFile {
		content, err := host.ReadRegular(hostfile.Follow(host.FS(), at), maxLocal)
		if err == nil {
			return &localFile{path: name, content: content}
		}
		// A link that leads nowhere in this container may lead to a file on the host.
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

// isOurs reports whether a drop-in is the file at our path, which a link at the folder or the file can also lead to.
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

// leftAfter is the age at which such a directory is left over from a killed process, because trying the files takes milliseconds. Agents
// have their temporary directories in memory, which repeated kills would otherwise fill.
const leftAfter = 10 * time.Minute

// removeLeftovers removes the directories of killed processes. It ignores errors, because a remaining directory does no harm.
func removeLeftovers() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), tempPrefix+"*")) // it fails only for a wrong pattern
	for _, dir := range left {
		info, err := os.Lstat(dir)
		if err == nil && time.Since(info.ModTime()) > leftAfter {
			_ = os.RemoveAll(dir)
		}
	}
}

// errUntried is the error about files that could not be tested at all.
var errUntried = errors.New("cannot test the registries.conf files in a temporary folder")

func untried(err error) error {
	return fmt.Errorf("%w: %w; make sure that %s is writable (on a node, this folder is in memory, which may be full)", errUntried, err, os.TempDir())
}

// load reads all files with the library that the consumers use, in a directory of its own.
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
	// These explicit paths take precedence over the environment and the home directory of this process.
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

// takeNamesake removes the drop-in of others that has the name of ours, and returns it. The consumers read only one file with a name, so
// either ours hides it or it hides ours. Consumers that do not know its folder read ours (N1).
func (l local) takeNamesake() (namesake localFile, hidesOurs, ok bool) {
	namesake, ok = l.dropIns[path.Base(Path)]
	delete(l.dropIns, path.Base(Path))
	return namesake, slices.Index(DropInDirs, path.Dir(namesake.path)) < slices.Index(DropInDirs, path.Dir(Path)), ok
}

// usable returns the files that the consumers' library accepts, and why it refuses others. Owners are the files by the prefixes of their
// tables, in the order in which they are read.
func (l local) usable() (good local, owners map[string][]localFile, problems []error) {
	good, owners = local{dropIns: make(map[string]localFile)}, make(map[string][]localFile)
	check := func(file localFile) bool {
		alone, err := local{base: &file}.load()
		if err != nil {
			problems = append(problems, fmt.Errorf("/%s is broken, so every pull of CRI-O and Podman fails until the file is fixed: %w", file.path, err))
			return false
		}
		tables, _ := alone.tables() // they loaded a moment ago
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

// with returns the files together with our drop-in.
func (l local) with(text []byte) local {
	both := local{base: l.base, dropIns: maps.Clone(l.dropIns)}
	both.dropIns[path.Base(Path)] = localFile{path: Path, content: text}
	return both
}

// consumer answers queries about the loaded files. It uses the library's cache, which the next load empties.
type consumer struct {
	sys *types.SystemContext
}

// tables returns all tables in the files.
func (c *consumer) tables() ([]sysregistriesv2.Registry, error) {
	return sysregistriesv2.GetRegistries(c.sys)
}

// covering returns the table that decides for all of a source.
func (c *consumer) covering(source string) (*sysregistriesv2.Registry, error) {
	return sysregistriesv2.FindRegistry(c.sys, source)
}
