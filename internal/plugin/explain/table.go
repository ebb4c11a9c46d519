// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

func printPullSources(out io.Writer, sources []pullSource, wide bool) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	heading := "ORDER\tPULL SOURCE\tFROM"
	if wide {
		heading = "ORDER\tPULL SOURCE\tTLS\tFROM"
	}
	fmt.Fprintln(table, heading)
	for i, s := range sources {
		columns := []string{strconv.Itoa(i + 1), s.Location}
		from := briefly(s.Entries)
		if wide {
			columns = append(columns, tlsOf(s))
			from = atLength(s.Entries)
		}
		switch {
		case from == "":
			from = "<image reference>"
		case s.IfTagFound:
			from += ", if the tag was found there"
		}
		fmt.Fprintln(table, strings.Join(append(columns, from), "\t"))
	}
	return table.Flush()
}

func tlsOf(s pullSource) string {
	if s.Insecure {
		return "unchecked"
	}
	return "checked"
}

// atLength names sets and their entries as a JSON path does.
func atLength(from []output.Entry) string {
	said := make([]string, len(from))
	for i, e := range from {
		said[i] = e.SetName() + " " + e.Path
	}
	return strings.Join(said, ", ")
}
