// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"io"
)

// warningCounter passes on standard error, and counts the lines of it that are warnings, from any writer.
type warningCounter struct {
	out   io.Writer
	count int

	inLine bool // the last write ended within a line
}

// Write counts and passes on.
func (c *warningCounter) Write(text []byte) (int, error) {
	for line := range bytes.Lines(text) {
		if !c.inLine && bytes.HasPrefix(line, []byte("warning: ")) {
			c.count++
		}
		c.inLine = !bytes.HasSuffix(line, []byte("\n"))
	}
	return c.out.Write(text)
}
