// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Head is the first line that an agent prints, before its pulls.
type Head struct {
	// Since is when the log began. It has no older pulls.
	Since time.Time `json:"since"`
}

// maxLine is the greatest length of a line that an agent prints.
const maxLine = 1 << 20

// Read calls each with every pull in an agent's output, until the output ends or each fails. It first calls head with the first line. It ignores
// additional fields of a newer agent. A line that is not a pull is an error, and so is an incomplete line.
func Read(printed io.Reader, head func(Head), each func(Pull) error) error {
	lines := bufio.NewReaderSize(printed, 64<<10)
	for number := 1; ; number++ {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) && number > 1 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if number == 1 {
			var h Head
			if err := json.Unmarshal(line, &h); err != nil || h.Since.IsZero() {
				return fmt.Errorf("line 1 does not have the time since which pulls are known: %.100q", line)
			}
			head(h)
			continue
		}
		var p Pull
		if err := json.Unmarshal(line, &p); err != nil || p.ID == 0 || p.Began.IsZero() || p.Image == "" {
			return fmt.Errorf("line %d is not a pull: %.100q", number, line)
		}
		if err := each(p); err != nil {
			return err
		}
	}
}

// readLine returns a line without its end; [io.EOF] if there are no more.
func readLine(lines *bufio.Reader) (line []byte, err error) {
	for {
		part, err := lines.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, fmt.Errorf("more than %d characters", maxLine)
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, fmt.Errorf("the input ends early: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return nil, err
		default:
			return line[:len(line)-1], nil
		}
	}
}
