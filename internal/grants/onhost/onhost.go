// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package onhost stores the logins and authorities of mirrors on a host. CRI-O, Podman, Buildah and Skopeo find them there, and so does an
// agent that starts without the API server (G4 of docs/reference/semantics.md).
package onhost

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Paths below the host's root.
const (
	// AuthFile holds the logins. It has no marker, because JSON has no comments. It is recognized by its folder, which belongs to
	// Mirrorset.
	AuthFile = "var/lib/mirrorset/auth.json"
	// CertsDir has one folder per registry.
	CertsDir = "etc/containers/certs.d"
	// CertFile is the name of our file in such a folder.
	CertFile = "mirrorset.crt"
)

// marker begins a file of certificates. Readers of PEM ignore it.
const marker = "# Written by Mirrorset. Change the ConfigMap mirror-authorities, and not this file.\n"

var authFile = hostfile.File{Path: AuthFile, Private: true}

// Files are the files of a host.
type Files struct {
	host *hostfile.Host
}

// At returns the files of a host.
func At(host *hostfile.Host) Files {
	return Files{host}
}

// Mirrors returns the places that may have a login or an authority on a host. These are all mirrors, except places that are a source,
// contain a source or are inside a source. CRI-O and Podman would send the login for such a place to the source.
func Mirrors(rules []mirrors.Rule) (may, sources []mirrors.Scope) {
	all := sourcesOf(rules)
	seen := make(map[mirrors.Scope]bool)
	for i := range rules {
		for _, m := range rules[i].Mirrors {
			place := m.Location
			if seen[place] {
				continue
			}
			seen[place] = true
			if all.touch(grants.Canonical(place)) {
				sources = append(sources, place)
			} else {
				may = append(may, place)
			}
		}
	}
	return may, sources
}

// sources are the sources of all rules, as a sorted list and as a set.
type sources struct {
	sorted []mirrors.Scope
	is     map[mirrors.Scope]bool
}

func sourcesOf(rules []mirrors.Rule) sources {
	s := sources{is: make(map[mirrors.Scope]bool, len(rules))}
	for i := range rules {
		s.is[grants.Canonical(rules[i].Source)] = true
	}
	s.sorted = slices.Sorted(maps.Keys(s.is))
	return s
}

// touch reports whether a place is a source, contains one or is inside one. The cost depends on the depth of the place, and not on the
// number of rules.
func (s sources) touch(place mirrors.Scope) bool {
	for around := place; around != ""; around = around[:max(0, strings.LastIndexByte(string(around), '/'))] {
		if s.is[around] {
			return true
		}
	}
	for host := place.Host(); strings.Contains(host, "."); {
		_, host, _ = strings.Cut(host, ".")
		if s.is["*."+mirrors.Scope(host)] {
			return true
		}
	}
	_, holds := mirrors.FirstBelow(s.sorted, place)
	return holds
}

// WriteLogins writes the text to the [AuthFile], or removes the file if there is no text. It fails with [hostfile.ErrForeign] if something
// other than a file has that path.
func (f Files) WriteLogins(text []byte) (changed bool, err error) {
	if text == nil {
		return f.host.Remove(authFile)
	}
	return f.host.Replace(authFile, text)
}

// CertPath returns the path of our file for a registry.
func CertPath(registry string) string {
	return path.Join(CertsDir, registry, CertFile)
}

func certFile(registry string) hostfile.File {
	return hostfile.File{Path: CertPath(registry), Marker: marker}
}

// WriteAuthority makes the host trust these certificates for a registry. It creates the folder only together with the file, because an
// existing folder hides others: see [Files.Hidden]. It fails with [hostfile.ErrForeign] if the path of the folder or the file is taken by
// something that is not ours.
func (f Files) WriteAuthority(registry string, certificates []byte) (content []byte, changed bool, err error) {
	content = append([]byte(marker), certificates...)
	changed, err = f.host.ReplaceInFolder(certFile(registry), content)
	return content, changed, err
}

// RemoveAuthority removes our file for a registry, and the folder if that is then empty.
func (f Files) RemoveAuthority(registry string) (changed bool, err error) {
	return f.host.RemoveWithFolder(certFile(registry))
}

// RemoveLeftovers removes the temporary files of killed processes. No other process may be writing.
func (f Files) RemoveLeftovers() error {
	return f.host.RemoveLeftovers(CertsDir, CertFile, marker)
}

// Registries returns the registries that have a file of ours, or the beginning of one that a killed agent left. The list is complete except
// for the registries that the error names.
func (f Files) Registries() (registries []string, err error) {
	entries, err := f.host.ReadDir(CertsDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var failed []error
	for _, entry := range entries {
		if !entry.IsDir() || hostfile.IsTemporary(entry.Name()) { // a link does not belong to us either
			continue
		}
		switch _, err := f.host.Read(certFile(entry.Name())); {
		case err == nil || errors.Is(err, fs.ErrNotExist) && f.begun(entry.Name()):
			registries = append(registries, entry.Name())
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, hostfile.ErrForeign):
			failed = append(failed, err)
		}
	}
	return registries, errors.Join(failed...)
}

// begun reports whether a killed agent began to write our file.
func (f Files) begun(registry string) bool {
	names, _ := f.names(registry) // the folder was readable just now
	for _, name := range names {
		if isOurs(name) {
			return true
		}
	}
	return false
}

func (f Files) names(registry string) (names []string, err error) {
	entries, err := hostfile.ReadDir(f.host.FS(), path.Join(CertsDir, registry))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}

// isOurs reports whether a name in a registry's folder is that of our file, complete or only begun.
func isOurs(name string) bool {
	return strings.HasPrefix(name, CertFile) && (name == CertFile || hostfile.IsTemporary(name))
}

// The folders in which CRI-O, Podman, Buildah and Skopeo look for a registry's certificates. The first folder that exists counts. The order
// is before, [CertsDir], behind. Only newer versions look in the folders without docker in their names.
var (
	before = []string{"etc/containers/certs.rootful.d"}
	behind = []string{"usr/share/containers/certs.rootful.d", "usr/share/containers/certs.d", DockerDir}
)

// DockerDir is the last folder in that order.
const DockerDir = "etc/docker/certs.d"

// Hidden returns the folder of somebody else that would no longer be read if we created one for the registry. It returns "" if there is
// none, or if somebody else created ours.
func (f Files) Hidden(registry string) string {
	names, _ := f.names(registry) // if the folder cannot be read, the write fails
	for _, name := range names {
		if !isOurs(name) {
			return ""
		}
	}
	return f.first(behind, registry)
}

// Hiding returns the folder that newer readers use instead of ours, or "" if there is none.
func (f Files) Hiding(registry string) string {
	return f.first(before, registry)
}

func (f Files) first(of []string, registry string) string {
	for _, dir := range of {
		name := path.Join(dir, registry)
		if _, err := f.host.Lstat(name); err == nil && !f.isSame(dir, CertsDir) && !f.isSame(name, path.Join(CertsDir, registry)) {
			return name
		}
	}
	return ""
}

// isSame reports whether two names lead to the same folder, for example because a host has a link at one of them.
func (f Files) isSame(a, b string) bool {
	one, err := fs.Stat(f.host.FS(), hostfile.Follow(f.host.FS(), a))
	other, otherErr := fs.Stat(f.host.FS(), hostfile.Follow(f.host.FS(), b))
	return err == nil && otherErr == nil && os.SameFile(one, other)
}

// Owned returns the paths of the files that are ours.
func (f Files) Owned() (paths []string, err error) {
	switch _, err := f.host.Read(authFile); {
	case err == nil:
		paths = append(paths, AuthFile)
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, hostfile.ErrForeign):
		return nil, err
	}
	registries, err := f.Registries()
	for _, registry := range registries {
		paths = append(paths, CertPath(registry))
	}
	return paths, err
}

// Clean removes all files that are ours.
func (f Files) Clean() error {
	_, err := f.WriteLogins(nil)
	if errors.Is(err, hostfile.ErrForeign) {
		err = nil
	}
	failed := []error{err, f.RemoveLeftovers()}
	registries, err := f.Registries()
	failed = append(failed, err)
	for _, registry := range registries {
		_, err := f.RemoveAuthority(registry)
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// Read returns what an earlier agent stored, each part in the form of the object that it came from. A part is nil if nothing is stored. If
// one part cannot be read, the other is still returned. The errors do not quote secrets. Registry tokens are missing from the logins,
// because the file has no field for them.
func (f Files) Read() (credentials *corev1.Secret, authorities *corev1.ConfigMap, err error) {
	var failed []error
	switch text, err := f.host.Read(authFile); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		failed = append(failed, err)
	default:
		if _, err := grants.ReadAuthFile(text); err != nil {
			failed = append(failed, fmt.Errorf("/%s: %w", AuthFile, err))
			break
		}
		credentials = &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: text}}
	}
	registries, err := f.Registries()
	failed = append(failed, err)
	for _, registry := range registries {
		certificates, err := f.host.Read(certFile(registry))
		if err != nil {
			continue // a file that was only begun
		}
		if authorities == nil {
			authorities = &corev1.ConfigMap{Data: make(map[string]string)}
		}
		authorities.Data[strings.Replace(registry, ":", "..", 1)] = string(certificates)
	}
	return credentials, authorities, errors.Join(failed...)
}
