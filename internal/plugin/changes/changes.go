// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package changes shows how image pulls change with other rules: those of sets that are not applied yet, or those of an earlier revision.
package changes

import (
	"fmt"
	"maps"
	"slices"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// The ways in which the pulls of a source change.
const (
	sourceGained     = "Gained"
	sourceLost       = "Lost"
	sourceBlocked    = "Blocked"
	sourceOpened     = "Opened"
	mirrorsAdded     = "MirrorsAdded"
	mirrorsRemoved   = "MirrorsRemoved"
	mirrorsReordered = "MirrorsReordered"
	mirrorsInsecure  = "MirrorsInsecure"
	mirrorsSecured   = "MirrorsSecured"
)

// SourceChange is a source whose images are pulled otherwise.
type SourceChange struct {
	Source mirrors.Scope `json:"source"`
	// Changes are Gained or Lost where the source has a rule on one side only, then what that means for a pull by digest.
	Changes []string `json:"changes"`
	Before  Places   `json:"before"`
	After   Places   `json:"after"`
	// ByTag is there where a pull by tag has other mirrors.
	ByTag *TagChange `json:"byTag,omitempty"`

	byDigest bool // a pull by digest changes
}

// TagChange is what changes for images that are named by tag.
type TagChange struct {
	Changes []string `json:"changes"`
	Before  Places   `json:"before"`
	After   Places   `json:"after"`
}

// Places is where the images of a source come from that are named in one way.
type Places struct {
	// By is the source whose rule decides: a broader one where it has none of its own; empty where there is none either.
	By mirrors.Scope `json:"by"`
	// Sets are those that the rule is from.
	Sets []string `json:"sets"`
	// Blocked says that the source is never contacted.
	Blocked bool `json:"blocked"`
	// PullSources stand in for the source, in order; it is the last of them itself unless it is blocked.
	PullSources []mirrors.Scope `json:"pullSources"`
	// Insecure are those of them that the sets call so.
	Insecure []mirrors.Scope `json:"insecure,omitempty"`
}

// compareRules compares the pulls of every source that has a rule.
func compareRules(before, after []mirrors.Rule) []SourceChange {
	old, current := newSide(before), newSide(after)
	sources := maps.Clone(old.sources)
	maps.Copy(sources, current.sources)
	changes := []SourceChange{}
	for _, source := range slices.Sorted(maps.Keys(sources)) {
		name := representative(source, sources)
		change := SourceChange{Source: source, Changes: []string{}, ByTag: compareTags(old, current, source, name)}
		change.Before, change.After = old.pullsOf(source, name, mirrors.ByDigest), current.pullsOf(source, name, mirrors.ByDigest)
		pulled := changesOf(change.Before, change.After)
		change.byDigest = len(pulled) > 0
		if !change.byDigest && change.ByTag == nil {
			continue // a rule that says what was so before
		}
		if !current.sources[source] {
			change.Changes = append(change.Changes, sourceLost)
		} else if !old.sources[source] {
			change.Changes = append(change.Changes, sourceGained)
		}
		change.Changes = append(change.Changes, pulled...)
		changes = append(changes, change)
	}
	return changes
}

// compareTags returns nil where tags have the mirrors that they had. That a source is blocked or opened is said of digests, and
// holds for tags too (T5).
func compareTags(old, current side, source, name mirrors.Scope) *TagChange {
	change := TagChange{Before: old.pullsOf(source, name, mirrors.ByTag), After: current.pullsOf(source, name, mirrors.ByTag)}
	if slices.Equal(change.Before.mirrors(), change.After.mirrors()) && slices.Equal(change.Before.Insecure, change.After.Insecure) {
		return nil
	}
	change.Changes = slices.DeleteFunc(changesOf(change.Before, change.After), func(c string) bool { return c == sourceBlocked || c == sourceOpened })
	return &change
}

// representative is a name that the source matches, and nothing that is narrower.
func representative(source mirrors.Scope, sources map[mirrors.Scope]bool) mirrors.Scope {
	if !source.IsWildcard() {
		return source
	}
	name := "any" + source[1:]
	for n := 2; sources[name]; n++ {
		name = mirrors.Scope(fmt.Sprintf("any%d%s", n, source[1:]))
	}
	return name
}

// side is the rules before or after.
type side struct {
	index   *mirrors.Index
	sources map[mirrors.Scope]bool
}

func newSide(rules []mirrors.Rule) side {
	s := side{index: mirrors.NewIndex(rules), sources: make(map[mirrors.Scope]bool, len(rules))}
	for i := range rules {
		s.sources[rules[i].Source] = true
	}
	return s
}

// pullsOf answers for all of a source, with the name as an example, as far as it is named in one way.
func (s side) pullsOf(source, name mirrors.Scope, mode mirrors.Mode) Places {
	rule := s.index.Find(name)
	if rule == nil {
		return Places{Sets: []string{}, PullSources: []mirrors.Scope{source}}
	}
	found := Places{By: rule.Source, Sets: output.SetsOf(rule.Entries()), Blocked: rule.Blocked, PullSources: []mirrors.Scope{}}
	for _, m := range rule.MirrorsFor(mode) {
		place := m.Location + mirrors.Scope(rule.Source.Rest(source))
		if by := s.index.Find(place); by == nil || !by.Blocked { // Q4
			found.PullSources = append(found.PullSources, place)
			if m.Insecure {
				found.Insecure = append(found.Insecure, place)
			}
		}
	}
	if !rule.Blocked {
		found.PullSources = append(found.PullSources, source)
	}
	return found
}

// mirrors returns the pull sources without the source at the end.
func (p Places) mirrors() []mirrors.Scope {
	if p.Blocked {
		return p.PullSources
	}
	return p.PullSources[:len(p.PullSources)-1]
}

func changesOf(before, after Places) []string {
	var changes []string
	old, current := before.mirrors(), after.mirrors()
	kept := without(old, without(old, current))
	for _, c := range []struct {
		change string
		is     bool
	}{
		{mirrorsAdded, len(without(current, old)) > 0},
		{mirrorsRemoved, len(without(old, current)) > 0},
		{mirrorsReordered, !slices.Equal(kept, without(current, without(current, old)))},
		{mirrorsInsecure, len(without(after.Insecure, before.Insecure)) > 0},
		{mirrorsSecured, slices.ContainsFunc(without(before.Insecure, after.Insecure), func(m mirrors.Scope) bool { return slices.Contains(current, m) })},
		{sourceBlocked, after.Blocked && !before.Blocked},
		{sourceOpened, before.Blocked && !after.Blocked},
	} {
		if c.is {
			changes = append(changes, c.change)
		}
	}
	return changes
}

// without returns the values that are not among others.
func without(values, others []mirrors.Scope) []mirrors.Scope {
	return slices.DeleteFunc(slices.Clone(values), func(v mirrors.Scope) bool { return slices.Contains(others, v) })
}
