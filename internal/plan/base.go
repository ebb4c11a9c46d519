// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/mirrorset/mirrorset/internal/payload"
)

// base is the payload that all nodes have, or nil where that is not known (C8).
func (s Seen) base() *payload.Payload {
	base, orders := s.Published.Payload, s.Published.Rollout
	if base == nil && (s.Stages != nil || orders.Paused != nil || orders.Undone != nil) && !s.isOutdated(s.Last) {
		base = s.Last
	}
	if base == nil {
		return nil
	}
	same := *base // a copy, because it gets another revision
	return &same
}

// isOutdated reports whether most nodes that are not canaries received something else after a record. A few of them may have been canaries.
func (s Seen) isOutdated(record *payload.Payload) bool {
	if record == nil {
		return false
	}
	believed, all, later := payload.Believed(s.Now.UnixMilli(), 0), 0, 0
	for _, node := range s.Nodes {
		if s.isCanary(node.Node) {
			continue
		}
		all++
		if node.Revision > record.Revision && node.Revision <= believed && node.Digest != record.Digest {
			later++
		}
	}
	return 2*later > all
}

// haveAlready reports whether all nodes that are not canaries have a text.
func (s Seen) haveAlready(digest string) bool {
	return !slices.ContainsFunc(s.Nodes, func(node InForce) bool { return !s.isCanary(node.Node) && node.Digest != digest })
}

func (s Seen) isCanary(node string) bool {
	return s.Stages != nil && slices.ContainsFunc(s.Stages.Canaries, func(c Trier) bool { return c.Node == node })
}

// tried is the payload that canaries have and keep, or nil if there is none.
func (s Seen) tried() *payload.Canary {
	if s.Published.Canary == nil {
		return nil
	}
	same := *s.Published.Canary // a copy, because it may need another revision
	return &same
}
