// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// eraseLine takes what stands in a terminal's line off it.
const eraseLine = "\r\x1b[K"

// liveLine is the last line of a terminal, which is written again and again to tell how far something is. Elsewhere, and on a
// terminal that takes no such commands, it does nothing.
type liveLine struct {
	out     io.Writer
	columns func() int // of the terminal; nil where there is none
	shown   string
}

func newLiveLine(out io.Writer) *liveLine {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(file.Fd())) {
		return &liveLine{}
	}
	return &liveLine{out: out, columns: func() int {
		width, _, err := term.GetSize(int(file.Fd()))
		if err != nil {
			return 0
		}
		return width
	}}
}

// show replaces the line, cut to the width of the terminal: a second row could not be taken away again.
func (l *liveLine) show(line string) {
	if l.columns == nil {
		return
	}
	const more = "..."
	if room := l.columns() - 1; len(line) > room && room > len(more) {
		line = line[:room-len(more)] + more
	}
	if line != l.shown {
		fmt.Fprint(l.out, eraseLine+line)
		l.shown = line
	}
}

// clear makes room for other output.
func (l *liveLine) clear() {
	if l.shown != "" {
		fmt.Fprint(l.out, eraseLine)
		l.shown = ""
	}
}
