// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"errors"
	"maps"
	"slices"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/route"
)

// removeStale removes our files that are not wanted, and the folders that they leave empty, but for those that hold a registry
// closed until another one does.
func (p *pass) removeStale(wanted map[string]bool, router *route.Router) error {
	ours, err := p.folder.Ours()
	stale := slices.DeleteFunc(ours, func(folder string) bool { return wanted[folder] || p.holds(folder, router) })
	failed := []error{err}
	for i, removed := range p.folder.Remove(stale...) {
		if removed.Err != nil {
			failed = append(failed, removed.Err)
			continue
		}
		p.drift.Wrote(p.folder.Path(stale[i]), nil, removed.Changed)
		p.changed++
	}
	return errors.Join(failed...)
}

// holds reports whether a stale file closes what the rules block by another one that is missing: the default host's, for a registry
// that had a folder of its own, or the other way round.
func (p *pass) holds(folder string, router *route.Router) bool {
	host := certsd.HostOf(folder)
	content, err := p.folder.Read(folder)
	if err != nil || !certsd.Closes(host, content) {
		return false
	}
	if host == certsd.DefaultHost {
		return slices.Contains(slices.Collect(maps.Values(p.missing)), true)
	}
	return p.missing[certsd.DefaultHost] && router.Blocks(host, "")
}
