// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostview

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// maxSize bounds a file that is read, in bytes.
const maxSize = 4 << 20

// Malformed is the error about a file that was read and does not have the expected form.
type Malformed struct{ err error }

func (m *Malformed) Error() string { return m.err.Error() }

// ReadTOML decodes one file, as far as the value has fields for it, and returns when the file was changed. It fails with a [*Malformed] if it could
// read the file.
func ReadTOML(root fs.FS, name string, into any) (changed time.Time, err error) {
	data, changed, err := readFile(root, name)
	if err != nil {
		return changed, err
	}
	err = toml.Unmarshal(data, into)
	var where *toml.DecodeError
	if errors.As(err, &where) {
		line, column := where.Position()
		text, _, _ := strings.Cut(strings.TrimPrefix(where.Error(), "toml: "), " into ") // a type of ours
		err = fmt.Errorf("line %d, column %d: %s", line, column, text)
	}
	if err != nil {
		err = &Malformed{err}
	}
	return changed, err
}

// ReadFile reads a file as [ReadTOML] does, whatever is in it.
func ReadFile(root fs.FS, name string) ([]byte, error) {
	data, _, err := readFile(root, name)
	return data, err
}

// readFile reads a regular file of a sane size.
func readFile(root fs.FS, name string) (data []byte, changed time.Time, err error) {
	info, err := fs.Stat(root, name) // before it is opened: opening a pipe waits for a writer
	if err != nil {
		return nil, time.Time{}, err
	}
	if !info.Mode().IsRegular() {
		return nil, time.Time{}, errors.New("it is not a regular file")
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = fmt.Errorf("it has more than %d MiB", maxSize>>20)
	}
	return data, info.ModTime(), err
}
