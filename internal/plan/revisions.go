// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"time"

	"github.com/mirrorset/mirrorset/internal/payload"
)

// number gives the payloads their revisions. The payload for all nodes keeps its revision if its text stays, so that the nodes have nothing
// to do, unless a node already has something newer in force. If that was published again only recently, number checks it again later. The
// revision of canaries is always larger, and the next payload always exceeds what they leave behind, so that no node is ever asked to take
// an older revision.
func (s Seen) number(next *next, history *History) (again time.Duration) {
	tried := s.Published.Canary
	if next.promoted {
		next.all.Revision = tried.Revision
		return 0
	}
	known, believed, stays := s.known(*history, next.all.Text)
	if tried != nil {
		known = append(known, tried.Revision)
		stays = stays && next.canary != nil && !next.left
	}
	overtaken, canariesOvertaken := false, false
	for _, node := range s.Nodes {
		if node.Revision > believed {
			continue
		}
		known = append(known, node.Revision)
		switch {
		case tried.Takes(node.Node):
			canariesOvertaken = canariesOvertaken || node.AheadOf(tried.Revision, tried.Digest)
		case stays:
			overtaken = overtaken || node.AheadOf(s.Published.Payload.Revision, s.Published.Payload.Digest)
		}
	}
	if overtaken || canariesOvertaken {
		if again = history.Overtook.Add(overtakes).Sub(s.Now); again <= 0 {
			history.Overtook, again = s.Now, 0
			stays = stays && !overtaken
			if canariesOvertaken && next.canary != nil {
				next.canary.Revision = 0
			}
		}
	}
	if stays {
		next.all.Revision = s.Published.Payload.Revision
	} else {
		next.all.Revision = payload.NextRevision(s.Now.UnixMilli(), known...)
	}
	if c := next.canary; c != nil && c.Revision <= next.all.Revision {
		c.Revision = payload.NextRevision(s.Now.UnixMilli(), append(known, next.all.Revision)...)
	}
	return again
}

// known returns the revisions that must not be used again, except those of nodes. It also returns the highest revision of a node that is
// believed. Stays reports whether all nodes keep what is published because it has this text.
func (s Seen) known(history History, text []byte) (known []int64, believed int64, stays bool) {
	have := s.Published.Payload
	known, believed = []int64{history.Revision, history.Tried}, payload.Believed(s.Now.UnixMilli(), 0)
	if have != nil && payload.Plausible(have.Revision, s.reached(history)) { // otherwise no node has taken it
		known, believed = append(known, have.Revision), payload.Believed(s.Now.UnixMilli(), have.Revision)
		stays = have.Revision >= history.Revision && bytes.Equal(have.Text, text)
	}
	return known, believed, stays
}

// reached is the highest revision, up to the published one, that this manager published or a node has. A manager that has just started
// learns from the nodes how far an earlier manager had got.
func (s Seen) reached(history History) int64 {
	highest := history.Revision
	for _, node := range s.Nodes {
		if node.Revision <= s.Published.Payload.Revision {
			highest = max(highest, node.Revision)
		}
	}
	return highest
}

// isPlausible reports whether a canary can have taken what is published for canaries.
func (s Seen) isPlausible(history History) bool {
	tried := s.Published.Canary
	if tried == nil {
		return true
	}
	highest := max(history.Revision, history.Tried)
	for _, node := range s.Nodes {
		if node.Revision <= tried.Revision {
			highest = max(highest, node.Revision)
		}
	}
	return payload.Plausible(tried.Revision, highest)
}
