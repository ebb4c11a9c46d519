// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// names returns what is in a registry's folder, but for what was begun to be written there, and our file.
func (f *folder) names(registry string) (names []string) {
	entries, err := fs.ReadDir(f.host.FS(), registry)
	if err != nil {
		return nil // not there, mostly; what cannot be read fails the write
	}
	for _, entry := range entries {
		if !hostfile.IsTemporary(entry.Name()) && entry.Name() != "hosts.toml" {
			names = append(names, entry.Name())
		}
	}
	return names
}

// certificates returns those that lie beside a registry's hosts.toml, which ours has to name (N4).
func (f *folder) certificates(host string) certsd.Certificates {
	found, _ := certsd.FindCertificates(f.names(certsd.Folders(host)[0]))
	return found
}

// leaveForeign returns the files of the registries that nobody else configures, and warns of the others. A file that is there
// already stays up to date all the same, as on a node.
func (f *folder) leaveForeign(stderr io.Writer, rules []mirrors.Rule, files []certsd.File) (ours []certsd.File) {
	for _, file := range files {
		_, err := f.host.Read(hostfile.File{Path: file.Path, Marker: certsd.Marker})
		theirs := f.theirs(file.Host)
		if err == nil || theirs == "" {
			ours = append(ours, file)
			continue
		}
		fmt.Fprintf(stderr, "warning: ForeignFolder: %s: %q has no file: %s is not ours and would be ignored beside our hosts.toml\n",
			mirrors.Names(entriesOfHost(rules, file.Host)), file.Host, f.place(theirs))
	}
	return ours
}

// theirs returns what others have put into the folders that containerd reads for a registry and that our file cannot carry
// over; "" for nothing.
func (f *folder) theirs(host string) string {
	folders := certsd.Folders(host)
	if _, other := certsd.FindCertificates(f.names(folders[0])); other != "" {
		return path.Join(folders[0], other)
	}
	for _, hidden := range folders[1:] {
		if entries, err := fs.ReadDir(f.host.FS(), hidden); err == nil && len(entries) > 0 {
			return path.Join(hidden, entries[0].Name())
		}
	}
	return ""
}

// nameHiding warns of folders that keep a wildcard from the registries that they are for.
func (f *folder) nameHiding(stderr io.Writer, rules []mirrors.Rule) error {
	folders, err := fs.ReadDir(f.host.FS(), ".")
	if err != nil {
		return err
	}
	router := route.NewRouter(rules)
	for _, entry := range folders {
		host := certsd.HostOf(entry.Name())
		wildcard := router.Wildcard(host)
		_, err := f.host.Read(hostfile.File{Path: path.Join(entry.Name(), "hosts.toml"), Marker: certsd.Marker})
		if wildcard == "" || hostfile.IsTemporary(entry.Name()) || err == nil && entry.IsDir() {
			continue
		}
		at := slices.IndexFunc(rules, func(r mirrors.Rule) bool { return r.Source == wildcard })
		fmt.Fprintf(stderr, "warning: ForeignFolder: %s: %s is not ours and hides source %q, which is not in force for it; take it away, or name the registry in a set\n",
			mirrors.Names(rules[at].From), f.place(entry.Name()), wildcard)
	}
	return nil
}
