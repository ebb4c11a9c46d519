// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/mirrorset/mirrorset/internal/redirect/upstream"
)

// late delays each read.
type late struct{ io.Reader }

func (l late) Read(p []byte) (int, error) {
	time.Sleep(2 * linger)
	return l.Reader.Read(p)
}

func TestWhatComesSlowlyIsNotHeldBack(t *testing.T) {
	buffer := make([]byte, chunk)
	if n, err := fill(buffer, late{iotest.OneByteReader(strings.NewReader("abc"))}); n != 1 || err != nil {
		t.Errorf("%d bytes, error %v", n, err)
	}
}

func TestARecordAlwaysFindsRoom(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), chunk/5)
	from, got := bytes.NewReader(content), []byte(nil)
	for {
		buffer := make([]byte, chunk)
		n, err := fill(buffer, roomy{t, from})
		got = append(got, buffer[:n]...)
		if err != nil {
			break
		}
	}
	if !bytes.Equal(got, content) {
		t.Errorf("%d bytes of %d", len(got), len(content))
	}
}

// roomy returns at most the content of one record, and requires room for it.
type roomy struct {
	t    *testing.T
	from io.Reader
}

func (r roomy) Read(p []byte) (int, error) {
	if len(p) < upstream.Record {
		r.t.Errorf("room for %d bytes", len(p))
	}
	return r.from.Read(p[:min(len(p), upstream.Record)])
}
