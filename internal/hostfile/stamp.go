// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"crypto/sha256"
	"io/fs"
	"sync"
	"time"
)

// Stamp is what the system says of a file or a folder without reading it. One that has the stamp from before is the one from before: to write its
// content, to change its mode or the names in it, or to put another one in its place, changes the stamp. One change leaves
// it as it is: a process that has mapped the file into memory writes to a page anew before the kernel has written that page to the disk.
type Stamp struct {
	device, number uint64
	mode           fs.FileMode
	size           int64
	changed        int64 // in Unix nanoseconds; no program can set it to what it was
}

// Stamp returns that of what stands at a path, which may be a link. It is not known where there is nothing; where the last change is so recent that
// another one could leave the stamp as it is; and where the system keeps no time of changes.
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

// isSettled reports whether a change after a moment has another time than the last one before it. Kernels count time in ticks of 10 ms at most, and some
// file systems in seconds.
func isSettled(last, moment time.Time) bool {
	const ticks, seconds = 100 * time.Millisecond, 2 * time.Second
	if last.Nanosecond() == 0 {
		return moment.Sub(last) > seconds
	}
	return moment.Sub(last) > ticks
}

// memory has what files said when they were read.
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
