// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package changes

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// words are the changes for people.
var words = map[string]string{
	sourceGained: "gained", sourceLost: "lost", sourceBlocked: "blocked", sourceOpened: "opened",
	mirrorsAdded: "mirrors added", mirrorsRemoved: "mirrors removed", mirrorsReordered: "mirrors reordered",
	mirrorsInsecure: "mirrors made insecure", mirrorsSecured: "mirrors made secure",
	"Appears": "appears", "Goes": "goes",
}

// printTables prints a table of the sets that go, one of sources and one of findings, each unless it is empty.
func (d *Difference) printTables(out io.Writer) error {
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	begin := func(rows int, header string) error {
		if err := table.Flush(); err != nil || rows == 0 {
			return err
		}
		if text.Len() > 0 {
			fmt.Fprintln(&text)
		}
		fmt.Fprintln(table, header)
		return nil
	}
	if err := begin(len(d.Deleted), "SET\tCHANGE"); err != nil {
		return err
	}
	for _, set := range d.Deleted {
		fmt.Fprintf(table, "%s\tdeleted\n", set)
	}
	if err := begin(len(d.Sources), "SOURCE\tCHANGE\tBEFORE\tAFTER"); err != nil {
		return err
	}
	for _, change := range d.Sources {
		change.printRows(table)
	}
	if err := begin(len(d.Findings), "FINDING\tCHANGE\tSETS\tMESSAGE"); err != nil {
		return err
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

// printRows prints what changes for digests, and then what changes for tags.
func (c *SourceChange) printRows(table io.Writer) {
	if c.byDigest {
		printSides(table, string(c.Source), c.Changes, c.Before, c.After)
	}
	if c.ByTag == nil {
		return
	}
	changes := c.ByTag.Changes
	if !c.byDigest {
		changes = slices.Concat(c.Changes, changes)
	}
	printSides(table, string(c.Source)+" (by tag)", changes, c.ByTag.Before, c.ByTag.After)
}

// printSides prints what is before and after side by side, a pull source a row.
func printSides(table io.Writer, what string, changes []string, from, to Places) {
	before, after := from.rows(), to.rows()
	first := [2]string{what, say(changes)}
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
func (p Places) rows() (rows []mirrors.Scope) {
	for _, place := range p.PullSources {
		if slices.Contains(p.Insecure, place) {
			place += " (insecure)"
		}
		rows = append(rows, place)
	}
	if p.Blocked {
		rows = append(rows, "<refused>")
	}
	return rows
}

func at(values []mirrors.Scope, i int) mirrors.Scope {
	if i < len(values) {
		return values[i]
	}
	return ""
}
