// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package splice moves the data that one TCP connection receives to another within the kernel, so that no process copies it.
package splice

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// room is the size of a pipe, in bytes, if the kernel allows it. With more data at a time, the other side is woken less often.
const room = 1 << 20

// Pipe connects two connections.
type Pipe struct {
	in, out int
	held    int // bytes that were taken and not given yet
}

// New returns an empty pipe. The caller must close it. New fails if the process may not splice, for example because a seccomp profile forbids it.
func New() (*Pipe, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	_, _ = unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, room) // where too many pipes are that large, it has less
	p := &Pipe{in: ends[1], out: ends[0]}
	if _, err := unix.Splice(p.out, nil, p.in, nil, 1, unix.SPLICE_F_NONBLOCK); !errors.Is(err, unix.EINVAL) { // which the kernel has for a pipe into itself
		return nil, errors.Join(fmt.Errorf("trying to splice: %w", err), p.Close())
	}
	return p, nil
}

// Take waits until a connection has received something. It takes as much as there is room for, but at most this many bytes. The caller must have
// given everything that was taken before. At the end of the connection's data, the error is [io.EOF].
func (p *Pipe) Take(from syscall.RawConn, most int64) (n int, err error) {
	n, err = move(from.Read, func(fd int) (int64, error) {
		return unix.Splice(fd, nil, p.in, nil, int(min(most, room)), unix.SPLICE_F_NONBLOCK)
	})
	if n == 0 && err == nil {
		err = io.EOF
	}
	p.held = n
	return n, err
}

// Give gives a connection everything that was taken, and returns how much the connection accepted.
func (p *Pipe) Give(to syscall.RawConn) (given int, err error) {
	for p.held > 0 && err == nil {
		var n int
		n, err = move(to.Write, func(fd int) (int64, error) {
			return unix.Splice(p.out, nil, fd, nil, p.held, unix.SPLICE_F_NONBLOCK)
		})
		given, p.held = given+n, p.held-n
	}
	return given, err
}

// Close closes the pipe and drops its content.
func (p *Pipe) Close() error {
	return errors.Join(unix.Close(p.in), unix.Close(p.out))
}

// move splices once a connection is ready for it. The pipe always is: it is empty before a take, and holds something before a give.
func move(whenReady func(func(fd uintptr) bool) error, splice func(fd int) (int64, error)) (int, error) {
	var n int64
	var failed error
	err := whenReady(func(fd uintptr) bool {
		for {
			n, failed = splice(int(fd))
			if !errors.Is(failed, unix.EINTR) {
				return !errors.Is(failed, unix.EAGAIN)
			}
		}
	})
	return int(max(n, 0)), errors.Join(failed, err)
}
