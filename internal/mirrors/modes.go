// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"maps"
	"slices"
)

// Mode is how a reference names an image. A mirror may serve one mode or both.
type Mode uint8

// The modes.
const (
	// ByDigest is a reference with a digest, with or without a tag before it.
	ByDigest Mode = 1 << iota
	// ByTag is any other reference.
	ByTag
)

// String names it for people, as what an image is named by.
func (m Mode) String() string {
	switch m {
	case ByDigest:
		return "digest"
	case ByTag:
		return "tag"
	}
	return "digest or tag"
}

// modes are all there are, in the order in which mirrors stand (T7).
var modes = [...]Mode{ByDigest, ByTag}

// said is the content of all entries for one source, by mode.
type said [len(modes)]opinion

// opinion is the content of entries for a source in one mode.
type opinion struct {
	statements []statement
	// from is the broader source that the statements are inherited from, with its mirrors; empty for those of the source's own.
	from Scope
}

// blocks reports whether the policy is Never (T3).
func (o opinion) blocks() bool {
	return slices.ContainsFunc(o.statements, blocking)
}

// blocks reports whether the policy of either mode is Never (T5).
func (s *said) blocks() bool {
	return slices.ContainsFunc(s[:], opinion.blocks)
}

// wouldBlock reports whether it would be Never if no set were in shadow mode (V3).
func (s *said) wouldBlock() bool {
	return s.blocks() || slices.ContainsFunc(s[:], func(o opinion) bool { return slices.ContainsFunc(o.statements, watching) })
}

// hasOwnMirrors reports whether the source's own entries name mirrors.
func (s *said) hasOwnMirrors() bool {
	return slices.ContainsFunc(s[:], func(o opinion) bool { return o.from == "" && len(o.statements) > 0 && !o.isCarveOut() })
}

// places are those of the mirrors that the source's own entries name, each as many times as it is named.
func (s *said) places() map[Scope][]int {
	places := make(map[Scope][]int)
	for _, o := range s {
		if o.from != "" {
			continue
		}
		for _, statement := range o.statements {
			for i, m := range statement.mirrors {
				places[m] = append(places[m], statement.places[i])
			}
		}
	}
	return places
}

// isCarveOut reports whether the source's own entries take the mirrors of broader ones away (E5).
func (o opinion) isCarveOut() bool {
	return o.from == "" && len(o.statements) > 0 && !slices.ContainsFunc(o.statements, func(s statement) bool { return len(s.mirrors) > 0 })
}

// What [opinion.entries] takes.
func anyOf(statement) bool      { return true }
func blocking(s statement) bool { return s.blocks }
func allowing(s statement) bool { return s.allows }
func watching(s statement) bool { return s.watches }
func enforced(s statement) bool { return !s.watches }
func ofShadow(s statement) bool { return s.inShadow }

// entries returns those of the statements that a function takes.
func (o opinion) entries(take func(statement) bool) []Entry {
	return o.appendEntries(nil, take)
}

// appendEntries puts them behind others.
func (o opinion) appendEntries(all []Entry, take func(statement) bool) []Entry {
	for i := range o.statements {
		if take(o.statements[i]) {
			all = append(all, o.statements[i].entry)
		}
	}
	return all
}

// tooLarge reports whether the rules would have more than [MaxMirrors].
func tooLarge(all map[Scope]*said) bool {
	left := MaxMirrors
	for _, s := range all {
		for _, o := range s {
			if o.from != "" {
				left -= len(o.statements)
			}
			left -= o.mirrors(left)
			if left < 0 {
				return true
			}
		}
	}
	return false
}

// mirrors is how many different mirrors the statements name. It counts with care only what may be more than a limit.
func (o opinion) mirrors(limit int) int {
	named := 0
	for _, s := range o.statements {
		named += len(s.mirrors)
	}
	if named <= limit {
		return named
	}
	different := make(map[Scope]bool)
	for _, s := range o.statements {
		for _, m := range s.mirrors {
			if different[m] = true; len(different) > limit {
				return len(different)
			}
		}
	}
	return len(different)
}

// inherit returns what counts for each source: where it has no entry of a mode, what the nearest broader source with one says (T4).
func inherit(bySource map[Scope]*said) map[Scope]*said {
	all := maps.Clone(bySource)
	for i := range modes {
		speak := 0
		for _, s := range bySource {
			if len(s[i].statements) > 0 {
				speak++
			}
		}
		if speak == len(bySource) || speak == 0 {
			continue
		}
		own := make([]Rule, 0, speak)
		for source, s := range bySource {
			if len(s[i].statements) > 0 {
				own = append(own, Rule{Source: source})
			}
		}
		x := NewIndex(own)
		for source := range bySource {
			if len(bySource[source][i].statements) > 0 {
				continue
			}
			if broader := x.Enclosing(source); broader != nil {
				counts := *all[source]
				counts[i] = opinion{statements: bySource[broader.Source][i].statements, from: broader.Source}
				all[source] = &counts
			}
		}
	}
	return all
}
