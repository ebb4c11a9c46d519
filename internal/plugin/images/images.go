// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package images reads the images that the verbs of kubectl mirrors are asked about, as people and tools write them: on the command
// line, and in files with one image per line.
package images

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// Parse reads one image: as a Pod names it, with docker:// in front as Skopeo and oc-mirror write it, or as a line of oc-mirror's
// mapping.txt, SOURCE=DESTINATION, which stands for its source.
func Parse(text string) (mirrors.Reference, error) {
	source, destination, isMapping := strings.Cut(text, "=")
	if isMapping && strings.TrimSpace(destination) == "" {
		return mirrors.Reference{}, fmt.Errorf("image %.100q: nothing follows the =; write IMAGE, or SOURCE=DESTINATION", text)
	}
	source = strings.TrimPrefix(strings.TrimSpace(source), "docker://")
	if scheme, _, ok := strings.Cut(source, "://"); ok {
		return mirrors.Reference{}, fmt.Errorf("image %.100q: %.20s:// does not name an image in a registry; write HOST/PATH:TAG or HOST/PATH@DIGEST, with or without docker:// in front", text, scheme)
	}
	return mirrors.ParseReference(source)
}

// most is how many lines of a file an error names.
const most = 10

// ReadFile reads a file of images, one a line, or standard input for "-". Empty lines and those that begin with # are passed over. The
// error names the file and each line that cannot be read, up to a number.
func ReadFile(name string, stdin io.Reader) (found []mirrors.Reference, err error) {
	in, shown := stdin, "standard input"
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, output.PrintablePath(err)
		}
		defer func() { _ = file.Close() }() // it was only read
		in, shown = file, output.Printable(name)
	}
	var wrong []error
	scanner, number := bufio.NewScanner(in), 1
	for ; scanner.Scan(); number++ {
		line := scanner.Text()
		if number == 1 {
			line = strings.TrimPrefix(line, "\ufeff") // editors mark UTF-8 with it
		}
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		ref, err := Parse(line)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: line %d: %w", shown, number, err))
			continue
		}
		found = append(found, ref)
	}
	switch err := scanner.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		wrong = append(wrong, fmt.Errorf("%s: line %d: the line has more than %d characters, more than any image reference; give a file with one image per line", shown, number, bufio.MaxScanTokenSize))
	case err != nil:
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	if more := len(wrong) - most; more > 0 {
		wrong = append(wrong[:most], fmt.Errorf("%s: %s more cannot be read", shown, output.Plural(more, "line", "lines")))
	}
	return found, errors.Join(wrong...)
}
