// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"cmp"
	"slices"
	"strings"
)

// oracle answers by docs/reference/semantics.md, in the plainest way, for such sets as are made here: well-formed ones, whose mirrors are no sources. It
// shares no code with the programs.
type oracle []entry

// entry is one of a set.
type entry struct {
	set     string // its name
	mode    string
	source  string
	mirrors []string
	never   bool
}

// The modes of an entry, and of a reference.
const (
	byDigest = "digest"
	byTag    = "tag"
)

// places are what is tried for a repository, in order. The source is the last of them, unless it is blocked.
func (o oracle) places(repository, mode string) (places []string) {
	sources := o.around(repository)
	if len(sources) == 0 {
		return []string{repository}
	}
	if from, ok := o.deciding(sources, mode); ok {
		for _, mirror := range merge(o.lists(from, mode)) {
			places = append(places, mirror+below(repository, from))
		}
	}
	if !o.blocks(sources) {
		places = append(places, repository)
	}
	return places
}

// around are the sources that contain a repository, the most specific first (L1, L2).
func (o oracle) around(repository string) (sources []string) {
	for _, e := range o {
		if covers(e.source, repository) && !slices.Contains(sources, e.source) {
			sources = append(sources, e.source)
		}
	}
	slices.SortFunc(sources, func(a, b string) int {
		if isWildcard(a) == isWildcard(b) {
			return cmp.Compare(len(b), len(a))
		}
		if isWildcard(a) {
			return 1
		}
		return -1
	})
	return sources
}

// deciding is the source whose entries of a mode hold for the first of these, itself or the nearest broader one (T4).
func (o oracle) deciding(sources []string, mode string) (source string, ok bool) {
	for _, s := range sources {
		if slices.ContainsFunc(o, func(e entry) bool { return e.source == s && e.mode == mode }) {
			return s, true
		}
	}
	return "", false
}

// blocks reports whether the policy of either mode is Never (T3, T5). The policy of an entry without mirrors does not count (E5).
func (o oracle) blocks(sources []string) bool {
	for _, mode := range []string{byDigest, byTag} {
		from, ok := o.deciding(sources, mode)
		if ok && slices.ContainsFunc(o, func(e entry) bool {
			return e.source == from && e.mode == mode && e.never && len(e.mirrors) > 0
		}) {
			return true
		}
	}
	return false
}

// lists are the mirrors of the entries for a source, in the order of the sets' names (M2).
func (o oracle) lists(source, mode string) (lists [][]string) {
	sorted := slices.SortedStableFunc(slices.Values(o), func(a, b entry) int { return cmp.Compare(a.set, b.set) })
	for _, e := range sorted {
		if e.source == source && e.mode == mode {
			lists = append(lists, e.mirrors)
		}
	}
	return lists
}

// merge joins lists into one (M1 to M3): of all that may come next, what appeared first comes next. A mirror comes behind those from which a
// way leads to it along the lists; where a way leads back as well, behind those that appeared before it.
func merge(lists [][]string) (merged []string) {
	var all []string // by first appearance
	leads := map[[2]string]bool{}
	for _, list := range lists {
		for i, m := range list {
			if !slices.Contains(all, m) {
				all = append(all, m)
			}
			if i > 0 {
				leads[[2]string{list[i-1], m}] = true
			}
		}
	}
	for _, by := range all {
		for _, from := range all {
			for _, to := range all {
				if leads[[2]string{from, by}] && leads[[2]string{by, to}] {
					leads[[2]string{from, to}] = true
				}
			}
		}
	}
	waits := func(m, other string) bool {
		if slices.Contains(merged, other) || !leads[[2]string{other, m}] {
			return false
		}
		return !leads[[2]string{m, other}] || slices.Index(all, other) < slices.Index(all, m)
	}
	for range all {
		for _, m := range all {
			if !slices.Contains(merged, m) && !slices.ContainsFunc(all, func(other string) bool { return waits(m, other) }) {
				merged = append(merged, m)
				break
			}
		}
	}
	return merged
}

// covers reports whether a source contains a repository (L1, L2).
func covers(source, repository string) bool {
	if isWildcard(source) {
		host, _, _ := strings.Cut(repository, "/")
		return strings.HasSuffix(host, source[1:])
	}
	return repository == source || strings.HasPrefix(repository, source+"/")
}

func isWildcard(source string) bool {
	return strings.HasPrefix(source, "*.")
}

// below is what a mirror gets appended (L3).
func below(repository, source string) string {
	if isWildcard(source) {
		if at := strings.Index(repository, "/"); at >= 0 {
			return repository[at:]
		}
		return ""
	}
	return strings.TrimPrefix(repository, source)
}
