// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

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
)

// sourceChange is a source whose images are pulled otherwise.
type sourceChange struct {
	Source mirrors.Scope `json:"source"`
	// Changes are Gained or Lost where the source has a rule on one side only, then what that means for a pull.
	Changes []string `json:"changes"`
	Before  pulls    `json:"before"`
	After   pulls    `json:"after"`
}

// pulls is where the images of a source come from, by digest.
type pulls struct {
	// By is the source whose rule decides: a broader one where it has none of its own; empty where there is none either.
	By mirrors.Scope `json:"by"`
	// Sets are those that the rule is from.
	Sets []string `json:"sets"`
	// Blocked says that the source is never contacted.
	Blocked bool `json:"blocked"`
	// PullSources stand in for the source, in order; it is the last of them itself unless it is blocked.
	PullSources []mirrors.Scope `json:"pullSources"`
}

// compareRules compares the pulls of every source that has a rule.
func compareRules(before, after []mirrors.Rule) []sourceChange {
	old, current := newSide(before), newSide(after)
	sources := maps.Clone(old.sources)
	maps.Copy(sources, current.sources)
	changes := []sourceChange{}
	for _, source := range slices.Sorted(maps.Keys(sources)) {
		name := representative(source, sources)
		change := sourceChange{Source: source, Before: old.pullsOf(source, name), After: current.pullsOf(source, name)}
		pulled := changesOf(change.Before, change.After)
		if len(pulled) == 0 {
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

// pullsOf answers for all of a source, of which the name is an example.
func (s side) pullsOf(source, name mirrors.Scope) pulls {
	rule := s.index.Resolve(mirrors.Reference{Name: string(name)}).Rule
	if rule == nil {
		return pulls{Sets: []string{}, PullSources: []mirrors.Scope{source}}
	}
	found := pulls{By: rule.Source, Sets: output.SetsOf(rule.From), Blocked: rule.Blocked, PullSources: []mirrors.Scope{}}
	for _, m := range rule.MirrorsFor(mirrors.ByDigest) {
		place := m.Location + mirrors.Scope(rule.Source.Rest(source))
		if !s.index.Resolve(mirrors.Reference{Name: string(place)}).Blocked { // Q4
			found.PullSources = append(found.PullSources, place)
		}
	}
	if !rule.Blocked {
		found.PullSources = append(found.PullSources, source)
	}
	return found
}

// mirrors returns the pull sources without the source at the end.
func (p pulls) mirrors() []mirrors.Scope {
	if p.Blocked {
		return p.PullSources
	}
	return p.PullSources[:len(p.PullSources)-1]
}

func changesOf(before, after pulls) []string {
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

// words are the changes for people.
var words = map[string]string{
	sourceGained: "gained", sourceLost: "lost", sourceBlocked: "blocked", sourceOpened: "opened",
	mirrorsAdded: "mirrors added", mirrorsRemoved: "mirrors removed", mirrorsReordered: "mirrors reordered",
	"Appears": "appears", "Goes": "goes",
}

// printTables prints a table of sources and one of findings, each unless it is empty.
func (d *difference) printTables(out io.Writer) error {
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	if len(d.Sources) > 0 {
		fmt.Fprintln(table, "SOURCE\tCHANGE\tBEFORE\tAFTER")
	}
	for _, change := range d.Sources {
		change.printRows(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(d.Sources) > 0 && len(d.Findings) > 0 {
		fmt.Fprintln(&text)
	}
	if len(d.Findings) > 0 {
		fmt.Fprintln(table, "FINDING\tCHANGE\tSETS\tMESSAGE")
	}
	for _, f := range d.Findings {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.Reason, words[f.Change], f.SetNames(), f.Message)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " \n")); err != nil { // a last cell may be empty
			return err
		}
	}
	return nil
}

// printRows prints what is before and after side by side, a pull source a row.
func (c *sourceChange) printRows(table io.Writer) {
	before, after := c.Before.rows(), c.After.rows()
	first := [2]string{string(c.Source), say(c.Changes)}
	for i := range max(len(before), len(after)) {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", first[0], first[1], at(before, i), at(after, i))
		first = [2]string{}
	}
}

// say joins changes for people, with "mirrors" once.
func say(changes []string) string {
	said := make([]string, len(changes))
	ofMirrors := false
	for i, change := range changes {
		said[i] = words[change]
		if verb, is := strings.CutPrefix(said[i], "mirrors "); is {
			if ofMirrors {
				said[i] = verb
			}
			ofMirrors = true
		}
	}
	return strings.Join(said, ", ")
}

// rows are the pull sources, and what happens where all of them fail and more could have been tried.
func (p pulls) rows() []mirrors.Scope {
	if p.Blocked {
		return append(slices.Clone(p.PullSources), "<refused>")
	}
	return p.PullSources
}

func at(values []mirrors.Scope, i int) mirrors.Scope {
	if i < len(values) {
		return values[i]
	}
	return ""
}
