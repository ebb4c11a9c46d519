// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"crypto/sha256"
	"io/fs"
	"sync"
	"time"
)

// Stamp is what the system reports about a file or a folder without reading it. A file with an unchanged stamp is unchanged. The stamp changes when a
// process writes the content, changes the mode or the names in it, or puts another file in its place. One change escapes it: a process that has
// mapped the file into memory writes to a page again before the kernel has written that page to the disk.
type Stamp struct {
	device, number uint64
	mode           fs.FileMode
	size           int64
	changed        int64 // in Unix nanoseconds; no program can set it to what it was
}

// Stamp returns the stamp of the entry at a path, which may be a link. The stamp is not known if there is no entry, or if the system keeps no time of
// changes. It is also not known if the last change is so recent that another change could leave the stamp unchanged.
func (h *Host) Stamp(name string) (stamp Stamp, known bool) {
	_, stamp, known, _ = h.lookAt(name)
	return stamp, known
}

func (h *Host) lookAt(name string) (info fs.FileInfo, stamp Stamp, known bool, err error) {
	before := time.Now()
	if info, err = h.root.Lstat(name); err != nil {
		return nil, Stamp{}, false, err
	}
	stamp, known = stampOf(info)
	return info, stamp, known && isSettled(time.Unix(0, stamp.changed), before), nil
}

// isSettled reports if a change after a moment gets another time than the last change before it. Kernels count time in ticks of 10 ms at most, and
// some file systems in seconds.
func isSettled(last, moment time.Time) bool {
	const ticks, seconds = 100 * time.Millisecond, 2 * time.Second
	if last.Nanosecond() == 0 {
		return moment.Sub(last) > seconds
	}
	return moment.Sub(last) > ticks
}

// memory holds the content of files as it was last read.
type memory struct {
	mu    sync.Mutex
	files map[string]remembered
}

type remembered struct {
	stamp Stamp
	sum   [sha256.Size]byte
}

func newMemory() *memory {
	return &memory{files: make(map[string]remembered)}
}

func (m *memory) says(name string, stamp Stamp, content []byte) bool {
	m.mu.Lock()
	file, ok := m.files[name]
	m.mu.Unlock()
	return ok && file.stamp == stamp && file.sum == sha256.Sum256(content)
}

func (m *memory) keep(name string, stamp Stamp, content []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[name] = remembered{stamp, sha256.Sum256(content)}
}
