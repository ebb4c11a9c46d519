// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"

	"github.com/mirrorset/mirrorset/internal/mirrorfiles"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

const (
	hostsName      = "hosts.toml"
	registriesName = "registries.conf"
	dropInsSuffix  = ".d"
)

// readRuntimes takes the files of runtimes, which are in TOML, and returns the other paths, which are read as kubectl reads them.
func (c *converter) readRuntimes(cmd *cobra.Command, paths []string) (others []string, err error) {
	for _, path := range paths {
		taken := false
		if path == "-" {
			taken, err = c.readStdin(cmd)
		} else {
			taken, err = c.readPath(path)
		}
		if err != nil {
			return nil, err
		}
		if !taken {
			others = append(others, path)
		}
	}
	return others, nil
}

// readStdin takes standard input if it is in TOML; otherwise it can be read again.
func (c *converter) readStdin(cmd *cobra.Command) (taken bool, err error) {
	text, err := io.ReadAll(cmd.InOrStdin())
	if err != nil {
		return false, err
	}
	if fields := tomlFields(text); fields != nil {
		return true, c.readTOML("standard input", "", text, fields)
	}
	cmd.SetIn(bytes.NewReader(text))
	return false, nil
}

// readPath takes a file in TOML, or what is of a runtime in a folder. It returns false where there is more.
func (c *converter) readPath(path string) (taken bool, err error) {
	info, err := os.Stat(path)
	switch {
	case err != nil: // an address, or an error that is said where other files are read
		return false, nil
	case info.IsDir():
		found, err := c.readFolder(path)
		if others := hasManifests(path); found || others || c.recursive || err != nil {
			return found && !others, err
		}
		return false, fmt.Errorf("%s: there is nothing to convert. The folder and its subfolders have no %s. The folder has no %s, no %s and no file that ends in .yaml, .yml or .json; to read such files in subfolders too, use -R",
			output.Printable(path), hostsName, registriesName, registriesName+dropInsSuffix)
	case !info.Mode().IsRegular(): // a pipe can be read once only
		return false, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return false, output.PrintablePath(err)
	}
	fields, extension := tomlFields(text), filepath.Ext(path)
	if fields == nil && extension != ".toml" && extension != ".conf" {
		return false, nil
	}
	return true, c.readTOML(output.Printable(path), path, text, fields)
}

// tomlFields returns what stands in a file in TOML at the top; nil for a file in another language, or an empty one.
func tomlFields(text []byte) map[string]any {
	var fields map[string]any
	if toml.Unmarshal(text, &fields) != nil || len(fields) == 0 {
		return nil
	}
	return fields
}

// readTOML takes a file of a runtime. The path is empty for standard input.
func (c *converter) readTOML(place, path string, text []byte, fields map[string]any) error {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { _, ok := fields[name]; return ok })
	}
	switch isHosts := filepath.Base(path) == hostsName; {
	case isHosts || has("host", "server", "capabilities"):
		if !isHosts {
			return fmt.Errorf("%s: containerd takes the registry's name from the folder that holds hosts.toml: give that file or folder, such as -f certs.d/docker.io", place)
		}
		return c.readHosts(path, text)
	case has("plugins", "config_path"):
		return fmt.Errorf("%s: this is containerd's main configuration file; give the folder that its config_path names", place)
	case filepath.Base(path) == registriesName:
		return c.readRegistries(place, path, path+dropInsSuffix)
	case path == "":
		return c.readTables(place, dropIn{place, registriesName, text})
	}
	return c.readTables(place, dropIn{place, filepath.Base(path), text})
}

// readFolder takes the files of runtimes in a folder: a certs.d, one folder of it, a registries.conf, or a folder of drop-ins.
func (c *converter) readFolder(path string) (found bool, err error) {
	hasHosts, err := c.readCertsDir(path)
	if err != nil {
		return true, err
	}
	base, dropIns := filepath.Join(path, registriesName), filepath.Join(path, registriesName+dropInsSuffix)
	switch {
	case len(existing(base, dropIns)) > 0:
		return true, c.readRegistries(output.Printable(path), base, dropIns)
	case strings.HasSuffix(filepath.Clean(path), registriesName+dropInsSuffix):
		return true, c.readRegistries(output.Printable(path), "", path)
	}
	return hasHosts, nil
}

// hasManifests reports whether a folder has files for kubectl in addition to those of runtimes.
func hasManifests(path string) bool {
	entries, err := os.ReadDir(path)
	return err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(e.Name()))
	})
}

// existing returns those of the paths that are there.
func existing(paths ...string) []string {
	return slices.DeleteFunc(paths, func(path string) bool { _, err := os.Stat(path); return err != nil })
}

// globEscape has a path stand for itself in a pattern.
func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// at puts the place before an error.
func at(place string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", place, err)
	}
	return err
}

// dropIn is one file of registries.conf.
type dropIn struct {
	place, name string
	text        []byte
}

// readRegistries takes a registries.conf, where there is one, and its drop-ins, where there are some.
func (c *converter) readRegistries(place, base, folder string) error {
	var files []dropIn
	read := func(path string) error {
		text, err := os.ReadFile(path)
		if err == nil && bytes.HasPrefix(text, []byte(registriesconf.Header)) {
			c.say("note: %s: ignored, because Mirrorset wrote it from sets", output.Printable(path))
			return nil
		}
		files = append(files, dropIn{output.Printable(path), filepath.Base(path), text})
		return err
	}
	if base != "" && len(existing(base)) > 0 {
		if err := read(base); err != nil {
			return output.PrintablePath(err)
		}
	}
	paths, err := filepath.Glob(filepath.Join(globEscape(folder), "*.conf"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := read(path); err != nil {
			return output.PrintablePath(err)
		}
	}
	return c.readTables(place, files...)
}

// readTables has the library of CRI-O and Podman read the files, and takes what it makes of them.
func (c *converter) readTables(place string, files ...dropIn) (err error) {
	dir, err := os.MkdirTemp("", "kubectl-mirrors-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	base, dropIns := filepath.Join(dir, registriesName), filepath.Join(dir, registriesName+dropInsSuffix)
	err = errors.Join(os.WriteFile(base, nil, 0o600), os.Mkdir(dropIns, 0o700))
	for _, file := range files {
		path := base
		if file.name != registriesName {
			path = filepath.Join(dropIns, file.name)
		}
		err = errors.Join(err, os.WriteFile(path, file.text, 0o600))
	}
	if err != nil {
		return err
	}
	// Named like this, the paths win over the environment and over the home directory.
	sys := &types.SystemContext{SystemRegistriesConfPath: base, SystemRegistriesConfDirPath: dropIns}
	tables, err := sysregistriesv2.GetRegistries(sys)
	if err != nil {
		return fmt.Errorf("%s: CRI-O and Podman cannot read it: %s", place, strings.ReplaceAll(err.Error(), dir+"/", ""))
	}
	if err := c.take(place, mirrorfiles.Tables(tables)); err != nil {
		return at(place, err)
	}
	for _, file := range files {
		settings, err := mirrorfiles.Settings(file.text)
		if err != nil {
			return at(file.place, err)
		}
		if err := c.take(file.place, settings); err != nil {
			return at(file.place, err)
		}
	}
	return nil
}
