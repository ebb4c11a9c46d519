// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// EraseLine takes what stands in a terminal's line off it.
const EraseLine = "\r\x1b[K"

// IsTerminal reports whether a stream is a terminal, where somebody can be asked.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// LiveLine is the last line of a terminal, which is written again and again to tell how far something is. Elsewhere, and on a
// terminal that takes no such commands, it does nothing.
type LiveLine struct {
	Out io.Writer
	// Columns of the terminal; nil where there is none.
	Columns func() int

	shown string
}

// NewLiveLine returns the one of a terminal, if that is where the output goes.
func NewLiveLine(out io.Writer) *LiveLine {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" || !IsTerminal(out) {
		return &LiveLine{}
	}
	return &LiveLine{Out: out, Columns: func() int {
		width, _, err := term.GetSize(int(file.Fd()))
		if err != nil {
			return 0
		}
		return width
	}}
}

// Show replaces the line, cut to the width of the terminal: a second row could not be removed again.
func (l *LiveLine) Show(line string) {
	if l.Columns == nil {
		return
	}
	const more = "..."
	if room := l.Columns() - 1; len(line) > room && room > len(more) {
		line = line[:room-len(more)] + more
	}
	if line != l.shown {
		fmt.Fprint(l.Out, EraseLine+line)
		l.shown = line
	}
}

// Clear makes room for other output.
func (l *LiveLine) Clear() {
	if l.shown != "" {
		fmt.Fprint(l.Out, EraseLine)
		l.shown = ""
	}
}
