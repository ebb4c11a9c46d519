// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package changes

import (
	"io"
	"slices"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// Difference is how pulls differ. Its JSON is a promise: fields may be added.
type Difference struct {
	// Deleted are the sets that go, as findings name them, in byte order.
	Deleted []string `json:"deleted"`
	// Sources are in byte order.
	Sources []SourceChange `json:"sources"`
	// Findings are those that appear and those that go, each sorted as warnings are.
	Findings []FindingChange `json:"findings"`
}

// FindingChange is a finding that appears or goes.
type FindingChange struct {
	// Change is Appears or Goes.
	Change string `json:"change"`
	output.Finding
}

// CompareResults compares what sets were merged to.
func CompareResults(before, after mirrors.Result) Difference {
	return Difference{Sources: compareRules(before.Rules, after.Rules), Findings: compareFindings(before.Findings, after.Findings)}
}

// CompareTexts compares two published texts, whose sets are no longer known.
func CompareTexts(before, after []byte) (Difference, error) {
	old, err := registriesconf.Decode(before)
	if err != nil {
		return Difference{}, err
	}
	current, err := registriesconf.Decode(after)
	if err != nil {
		return Difference{}, err
	}
	return Difference{Deleted: []string{}, Sources: compareRules(old, current), Findings: []FindingChange{}}, nil
}

// Delete names the sets that go.
func (d *Difference) Delete(sets []mirrors.Object) {
	d.Deleted = make([]string, len(sets))
	for i := range sets {
		d.Deleted[i] = sets[i].Label()
	}
	slices.Sort(d.Deleted)
}

// Opened are the sources that were blocked, and are not afterwards.
func (d *Difference) Opened() (sources []string) {
	for _, c := range d.Sources {
		if slices.Contains(c.Changes, sourceOpened) {
			sources = append(sources, string(c.Source))
		}
	}
	return sources
}

// IsEmpty reports whether nothing differs.
func (d *Difference) IsEmpty() bool {
	return len(d.Deleted) == 0 && len(d.Sources) == 0 && len(d.Findings) == 0
}

// compareFindings takes findings that differ in the place of their entries alone for the same.
func compareFindings(before, after []mirrors.Finding) []FindingChange {
	all := []FindingChange{}
	for _, side := range []struct {
		change       string
		these, those []mirrors.Finding
	}{{"Appears", after, before}, {"Goes", before, after}} {
		known := make(map[string]bool, len(side.those))
		for _, f := range side.those {
			known[f.Key()] = true
		}
		for i, f := range side.these {
			if !known[f.Key()] {
				all = append(all, FindingChange{side.change, output.FindingsOf(side.these[i : i+1])[0]})
			}
		}
	}
	return all
}

// Print prints it as tables, or as json or yaml.
func (d *Difference) Print(out io.Writer, format string) error {
	if format != "table" {
		return output.Value(out, format, d)
	}
	return d.printTables(out)
}
