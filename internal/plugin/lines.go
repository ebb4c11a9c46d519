// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// linesOf reads a file of images, or standard input for "-". Empty lines and those that begin with # are passed over.
func linesOf(name string, stdin io.Reader) (lines []string, err error) {
	in, shown := stdin, "standard input"
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, output.PrintablePath(err)
		}
		defer func() { _ = file.Close() }() // it was only read
		in, shown = file, output.Printable(name)
	}
	scanner, number := bufio.NewScanner(in), 1
	for ; scanner.Scan(); number++ {
		line := scanner.Text()
		if number == 1 {
			line = strings.TrimPrefix(line, "\ufeff") // editors mark UTF-8 with it
		}
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("%s: line %d: %w", shown, number, err)
	}
	return lines, nil
}
