// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hostfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"
)

// lockPoll is how often a taken lock is retried.
const lockPoll = 100 * time.Millisecond

// Lock takes the lock file at a path, so that only one of two agents on a host writes, such as while one agent replaces another. It waits until the
// lock is free or the context ends. The lock is free again once the returned function was called or the process has ended.
//
// An existing file is only read, so that the lock can be taken on a disk that is full or read-only.
func (h *Host) Lock(ctx context.Context, name string) (unlock func() error, err error) {
	defer func() { err = h.Explain(name, err) }()
	file, err := h.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if err := h.root.makeDir(path.Dir(name)); err != nil {
			return nil, err
		}
		file, err = h.root.OpenFile(name, os.O_RDONLY|os.O_CREATE|syscall.O_NONBLOCK, fileMode)
	}
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file.Close, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("locking it: %w", err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		case <-time.After(lockPoll):
		}
	}
}
