// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/mirrorfiles"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// readCertsDir takes the folders of a certs.d, or the one that the path is. It returns false where there is nothing of containerd.
func (c *converter) readCertsDir(path string) (found bool, err error) {
	folders, err := filepath.Glob(filepath.Join(globEscape(path), "*"))
	if err != nil {
		return false, err
	}
	folders = slices.DeleteFunc(folders, func(folder string) bool { return !isFolder(folder) })
	isCertsDir := slices.ContainsFunc(folders, func(folder string) bool { return len(existing(filepath.Join(folder, hostsName))) > 0 })
	// Without any hosts.toml, certificates are taken for those of registries only where they cannot be next to manifests.
	if isCertsDir || !hasManifests(path) {
		for _, folder := range folders {
			taken, err := c.readHostFolder(folder)
			if err != nil {
				return true, err
			}
			found = found || taken
		}
	}
	if found || hasManifests(path) && len(existing(filepath.Join(path, hostsName))) == 0 {
		return found, nil
	}
	return c.readHostFolder(path)
}

// readHostFolder takes what a folder says of its registry.
func (c *converter) readHostFolder(path string) (found bool, err error) {
	if hosts := existing(filepath.Join(path, hostsName)); len(hosts) > 0 {
		_, err := c.readPath(hosts[0])
		return true, err
	}
	certificates, err := certificatesIn(path)
	if err != nil || len(certificates) == 0 {
		return false, err
	}
	host, isRead, err := c.hostOf(path)
	if isRead {
		c.elsewhere(output.Printable(path), "the certificates of %q (%s) cannot be part of a set: keep this folder, because containerd reads them from it", host, output.FirstOf(certificates, 5))
	}
	return true, err
}

// hostOf returns the registry that a folder of a certs.d is for. It is not read where containerd reads another one for that.
func (c *converter) hostOf(path string) (host string, isRead bool, err error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", false, err
	}
	certsDir, name := filepath.Split(absolute)
	host = certsd.HostOf(name)
	for _, folder := range certsd.Folders(host) {
		if folder == name {
			break
		}
		if isFolder(filepath.Join(certsDir, folder)) {
			c.say("note: %s: ignored, because for %q containerd reads the folder %s next to it and not this one", output.Printable(path), host, output.Printable(folder))
			return host, false, nil
		}
	}
	return host, true, nil
}

// certificatesIn returns the files of a folder that containerd takes for certificates where there is no hosts.toml.
func certificatesIn(path string) (names []string, err error) {
	entries, err := os.ReadDir(path)
	for _, entry := range entries {
		if extension := filepath.Ext(entry.Name()); extension == ".crt" || extension == ".cert" {
			names = append(names, output.Printable(entry.Name()))
		}
	}
	return names, output.PrintablePath(err)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// readHosts takes the hosts.toml of one registry.
func (c *converter) readHosts(path string, text []byte) error {
	place := output.Printable(path)
	if bytes.HasPrefix(text, []byte(certsd.Marker)) {
		c.say("note: %s: ignored, because Mirrorset wrote it from sets", place)
		return nil
	}
	host, isRead, err := c.hostOf(filepath.Dir(path))
	if err != nil || !isRead {
		return err
	}
	return at(place, c.take(place, mirrorfiles.Hosts(host, text)))
}
