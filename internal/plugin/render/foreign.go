// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/certsd/ondisk"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// leaveForeign returns the files of the registries that nobody else configures, and warns of the others. A file that is there
// already still stays up to date, as on a node.
func (f *folder) leaveForeign(stderr io.Writer, rules []mirrors.Rule, files []certsd.File) (ours []certsd.File) {
	for _, file := range files {
		var foreign *ondisk.Foreign
		if _, err := f.tree.Current(file.Host); !errors.As(err, &foreign) {
			ours = append(ours, file) // what cannot be read fails the write
			continue
		}
		fmt.Fprintf(stderr, "warning: ForeignFolder: %s: %q has no file: %s %s\n",
			mirrors.Names(entriesOfHost(rules, file.Host)), file.Host, f.place(foreign.Path), foreign.What)
	}
	return ours
}

// nameHiding warns of folders that keep a wildcard from the registries that they are for.
func (f *folder) nameHiding(stderr io.Writer, rules []mirrors.Rule) {
	for _, h := range f.tree.Hidden(route.NewRouter(rules)) {
		at := slices.IndexFunc(rules, func(r mirrors.Rule) bool { return string(r.Source) == h.Wildcard })
		fmt.Fprintf(stderr, "warning: ForeignFolder: %s: %s was not written by Mirrorset and hides source %q, so that source has no effect there; remove it, or name the registry in a set\n",
			mirrors.Names(rules[at].From), f.place(h.Path), h.Wildcard)
	}
}
