// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"io"
	"strings"

	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// health is what a check comes to. The smaller, the worse.
type health int

// The healths.
const (
	// wrong: something does not do what it should, or nothing reports whether it does.
	wrong health = iota
	// odd: somebody should look at it; the rules are in force nevertheless, or will be in a moment.
	odd
	// fine: there is nothing to do.
	fine
)

func (h health) String() string {
	return [...]string{"PROBLEM", "WARNING", "OK"}[h]
}

// MarshalText writes the name.
func (h health) MarshalText() ([]byte, error) {
	return []byte(h.String()), nil
}

// diagnosis is what one check found.
type diagnosis struct {
	Health health `json:"status"`
	// Subject is what was looked at, as in node/node-1.
	Subject string `json:"subject"`
	// Message says what was found.
	Message string `json:"message"`
	// Remedy says what to do; it can have several lines.
	Remedy string `json:"remedy,omitempty"`
}

// diagnoses are those of one run.
type diagnoses []diagnosis

func (d *diagnoses) add(h health, subject, message, remedy string) {
	*d = append(*d, diagnosis{h, subject, message, remedy})
}

func (d diagnoses) count(h health) (count int) {
	for i := range d {
		if d[i].Health == h {
			count++
		}
	}
	return count
}

// print writes one paragraph per check. All lines but the first are indented.
func (d diagnoses) print(out, stderr io.Writer) error {
	for _, one := range d {
		message, more, _ := strings.Cut(one.Message, "\n")
		text := fmt.Sprintf("%-8s %s: %s\n", one.Health, one.Subject, output.Harmless(message))
		for line := range strings.Lines(more + "\n" + one.Remedy) {
			if line = strings.TrimRight(line, "\n"); line != "" {
				text += "    " + output.Harmless(line) + "\n"
			}
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
	}
	problems, warnings := d.count(wrong), d.count(odd)
	summary := "Nothing is wrong."
	if problems+warnings > 0 {
		summary = fmt.Sprintf("%s, %s.", output.Plural(problems, "problem", "problems"), output.Plural(warnings, "warning", "warnings"))
	}
	fmt.Fprintln(stderr, summary)
	return nil
}
