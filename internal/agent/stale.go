// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"maps"
	"path"
	"slices"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/route"
)

// removeStale removes our files that are not wanted, and the folders that they leave empty, but for those that hold a registry
// closed until another one does.
func (c *certs) removeStale(wanted map[string]bool, router *route.Router) error {
	ours, err := ourCerts(c.host)
	failed := []error{err}
	for _, file := range ours {
		if wanted[path.Base(path.Dir(file.Path))] || c.holds(file, router) {
			continue
		}
		removed, err := c.host.RemoveWithFolder(file)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		c.wrote(hostsTOMLRepairs, file.Path, nil, removed)
		c.changed++
	}
	return errors.Join(failed...)
}

// holds tells whether a stale file closes what the rules block by another one that is missing: the default host's, for a registry
// that had a folder of its own, or the other way round.
func (c *certs) holds(file hostfile.File, router *route.Router) bool {
	host := certsd.HostOf(path.Base(path.Dir(file.Path)))
	content, err := c.host.Read(file)
	if err != nil || !certsd.Closes(host, content) {
		return false
	}
	if host == certsd.DefaultHost {
		return slices.Contains(slices.Collect(maps.Values(c.missing)), true)
	}
	return c.missing[certsd.DefaultHost] && router.Blocks(host, "")
}
