// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package onhost has the logins and authorities of mirrors as they lie on a host: where CRI-O, Podman, Buildah and Skopeo find them, and
// where an agent that starts without the API server finds them again (G4 of docs/reference/semantics.md).
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
	// AuthFile has the logins. No marker stands in it, as JSON has no comments: it is ours by its place, a folder that is wholly ours.
	AuthFile = "var/lib/mirrorset/auth.json"
	// CertsDir has a folder for each registry.
	CertsDir = "etc/containers/certs.d"
	// CertFile is the name of our file in such a folder.
	CertFile = "mirrorset.crt"
)

// marker begins a file of certificates. Those who read PEM pass over it.
const marker = "# Written by Mirrorset. Change the ConfigMap mirror-authorities, and not this file.\n"

var authFile = hostfile.File{Path: AuthFile, Private: true}

// Files are those of a host.
type Files struct {
	host *hostfile.Host
}

// At returns the files of a host.
func At(host *hostfile.Host) Files {
	return Files{host}
}

// Mirrors returns the places that may have a login or an authority on a host: those of all mirrors, but for a place that is a source too, or
// holds one, or lies in one. What CRI-O and Podman find for such a place they would send to the source.
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

// sources are those of all rules, in byte order, and which there are.
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

// touch reports whether a place is a source, or holds one, or lies in one. It costs by the depth of the place and not by the number of rules.
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

// WriteLogins makes the text that of the [AuthFile]; without text there is none. It fails with [hostfile.ErrForeign] where something that
// is no file has its place.
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

// WriteAuthority has the certificates trusted for a registry. The folder comes with the file, because one that is there hides others: see
// [Files.Hidden]. It fails with [hostfile.ErrForeign] where something that is not ours has the place of one of the two.
func (f Files) WriteAuthority(registry string, certificates []byte) (content []byte, changed bool, err error) {
	content = append([]byte(marker), certificates...)
	changed, err = f.host.ReplaceInFolder(certFile(registry), content)
	return content, changed, err
}

// RemoveAuthority removes our file for a registry, and the folder if nothing else is in it.
func (f Files) RemoveAuthority(registry string) (changed bool, err error) {
	return f.host.RemoveWithFolder(certFile(registry))
}

// RemoveLeftovers removes what a killed process left aside. No other process may be writing.
func (f Files) RemoveLeftovers() error {
	return f.host.RemoveLeftovers(CertsDir, CertFile, marker)
}

// Registries returns those with a file of ours, or with what a killed agent left of one. They are complete but for those that the error is
// about.
func (f Files) Registries() (registries []string, err error) {
	entries, err := f.host.ReadDir(CertsDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var failed []error
	for _, entry := range entries {
		if !entry.IsDir() || hostfile.IsTemporary(entry.Name()) { // a link, too, is somebody else's
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

// begun reports whether a killed agent began to write a file of ours.
func (f Files) begun(registry string) bool {
	names, _ := f.names(registry) // it was just read
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

// isOurs reports whether a name in a registry's folder is that of our file, whole or begun.
func isOurs(name string) bool {
	return strings.HasPrefix(name, CertFile) && (name == CertFile || hostfile.IsTemporary(name))
}

// The folders of certificates that CRI-O, Podman, Buildah and Skopeo look for a registry in, of which the first that is there counts:
// before, then [CertsDir], then behind. Only newer ones look in those that have no docker in their names.
var (
	before = []string{"etc/containers/certs.rootful.d"}
	behind = []string{"usr/share/containers/certs.rootful.d", "usr/share/containers/certs.d", DockerDir}
)

// DockerDir is the last folder that they look in.
const DockerDir = "etc/docker/certs.d"

// Hidden returns the folder of somebody else that nobody would read any more if one for the registry were made; "" for none, or where
// somebody else made that folder.
func (f Files) Hidden(registry string) string {
	names, _ := f.names(registry) // what cannot be read fails the write
	for _, name := range names {
		if !isOurs(name) {
			return ""
		}
	}
	return f.first(behind, registry)
}

// Hiding returns the folder that newer readers take in the place of ours; "" for none.
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

// isSame reports whether two names lead to one folder, as where a host has a link for one of them.
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

// Read returns what an earlier agent left, each in the form of the object that it came from, and nil where it left nothing. What it cannot
// read of one does not keep the other back; the errors repeat nothing of what is secret. A registry token is not among the logins, as
// the file has no place for one.
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
			continue // one that was only begun
		}
		if authorities == nil {
			authorities = &corev1.ConfigMap{Data: make(map[string]string)}
		}
		authorities.Data[strings.Replace(registry, ":", "..", 1)] = string(certificates)
	}
	return credentials, authorities, errors.Join(failed...)
}
