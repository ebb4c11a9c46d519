// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/changes"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
)

// compareRevisions compares what nodes were given, and asks for no manifests.
func (o *options) compareRevisions(cmd *cobra.Command) error {
	switch {
	case o.files.Given() || len(o.from) > 0 || o.prune:
		return errors.New("--revision compares what nodes were given; -f, -k, --from and --prune are about manifests")
	case len(o.revisions) > 2:
		return fmt.Errorf("give --revision once or twice, not %d times", len(o.revisions))
	}
	c, err := o.cluster.Connect()
	if err != nil {
		return err
	}
	h, err := c.History(cmd.Context(), cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	sides := make([]*history.Record, 0, 2)
	for _, revision := range o.revisions {
		r, err := h.Find(revision)
		if err != nil {
			return err
		}
		sides = append(sides, r)
	}
	if len(sides) == 1 {
		if sides, err = withPublished(sides, h); err != nil {
			return err
		}
	}
	found, err := changes.CompareTexts(sides[0].Text, sides[1].Text)
	if err != nil {
		return err
	}
	found.Delete(deletedBetween(sides[0], sides[1]))
	return o.print(cmd, &found)
}

// withPublished adds what all nodes should have.
func withPublished(sides []*history.Record, h *cluster.History) ([]*history.Record, error) {
	if h.Published == nil {
		return nil, errors.New("nothing is published to compare the revision with; name a second revision with --revision")
	}
	now, err := h.Find(h.Published.Revision)
	return append(sides, now), err
}

// deletedBetween returns the sets that the first is of, and the second no more, as far as both know of all.
func deletedBetween(before, after *history.Record) (gone []mirrors.Object) {
	if before.Partial || after.Partial { // nobody knows
		return nil
	}
	for _, s := range before.Sets {
		stays := slices.ContainsFunc(after.Sets, func(a history.Set) bool { return a.Kind == s.Kind && a.Name == s.Name })
		if kind := kinds.Named(s.Kind); !stays && kind != nil {
			gone = append(gone, mirrors.Object{Kind: &kind.Kind, Name: s.Name})
		}
	}
	return gone
}
