// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package openshift_test

import (
	"reflect"
	"slices"
	"strings"

	"github.com/openshift/runtime-utils/pkg/registries"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// writeOut returns the sets with all that sources inherit (T4) as entries of their own: behind each entry stand those of the narrower
// sources that it counts for. OpenShift's merge inherits nothing, so that it has to agree about these.
func writeOut(sets []kinds.Set) []kinds.Set {
	var sources []string
	for _, set := range sets {
		for _, entry := range set.Entries {
			sources = append(sources, entry.Source)
		}
	}
	slices.Sort(sources)
	sources = slices.Compact(sources)
	written := slices.Clone(sets)
	for i, set := range sets {
		written[i].Entries = nil
		for _, entry := range set.Entries {
			written[i].Entries = append(written[i].Entries, entry)
			for _, source := range sources {
				if source != entry.Source && decides(sets, source, set.Kind.Mode) == entry.Source {
					written[i].Entries = append(written[i].Entries, narrowed(entry, source))
				}
			}
		}
	}
	return written
}

// decides returns the source whose entries of a mode count for a source: itself, or the nearest broader one; "" for none.
func decides(sets []kinds.Set, source string, mode mirrors.Mode) string {
	nearest := ""
	for _, set := range sets {
		for _, entry := range set.Entries {
			if set.Kind.Mode == mode && registries.ScopeIsNestedInsideScope(source, entry.Source) && isNearer(entry.Source, nearest) {
				nearest = entry.Source
			}
		}
	}
	return nearest
}

// isNearer reports whether the first of two matching sources is more specific. Any source is before a wildcard, and a longer source before a shorter.
func isNearer(one, other string) bool {
	if wildcard := strings.HasPrefix(one, "*"); other != "" && wildcard != strings.HasPrefix(other, "*") {
		return !wildcard
	}
	return len(one) > len(other)
}

// narrowed is an entry as it counts for a narrower source.
func narrowed(entry mirrors.SetEntry, source string) mirrors.SetEntry {
	host, _, _ := strings.Cut(source, "/")
	rest := source[min(len(entry.Source), len(source)):]
	if strings.HasPrefix(entry.Source, "*") {
		rest = strings.TrimPrefix(source, host)
	}
	narrow := mirrors.SetEntry{Source: source, Policy: entry.Policy}
	for _, mirror := range entry.Mirrors {
		if mirror == entry.Source {
			narrow.Mirrors = append(narrow.Mirrors, source)
		} else {
			narrow.Mirrors = append(narrow.Mirrors, mirror+rest)
		}
	}
	return narrow
}

// differences names the rules by which the two differ about a source and a mode; their is what OpenShift makes of what was written out,
// and plain what it makes of the sets as they are.
func differences(t fatal, source string, mode mirrors.Mode, sets, written []kinds.Set, our, their, plain rule) []string {
	t.Helper()
	if our.blocked != their.blocked {
		t.Fatalf("%s: ours %+v, theirs %+v", source, our, their)
	}
	var named []string
	inherits := slices.ContainsFunc([]mirrors.Mode{mirrors.ByDigest, mirrors.ByTag}, func(m mirrors.Mode) bool {
		return len(entriesOf(sets, source, m)) == 0 && len(listsOf(written, source, m)) > 0
	})
	switch same := reflect.DeepEqual(plain, their); {
	case !same && !inherits:
		t.Fatalf("%s inherits nothing, but theirs is %+v and, written out, %+v", source, plain, their)
	case !same:
		named = append(named, "T4")
	}
	if lists := listsOf(written, source, mode); len(lists) > 0 {
		return append(named, compare(t, source, lists, our, their))
	}
	if len(our.mirrors) > 0 {
		t.Fatalf("%s has no mirrors: ours %+v", source, our)
	}
	if len(entriesOf(sets, source, mode)) > 0 {
		named = append(named, "E5")
	}
	return named
}
