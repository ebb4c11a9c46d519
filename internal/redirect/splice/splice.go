// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package splice moves what one TCP connection receives to another one within the kernel, so that no process copies it.
package splice

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// room is what a pipe has, in bytes, where the kernel gives it so much: the more comes at a time, the less often the other side is woken.
const room = 1 << 20

// Pipe is between two connections.
type Pipe struct {
	in, out int
	held    int // bytes that were taken and not given yet
}

// New returns an empty pipe, which has to be closed. It fails where the process may not splice, as where a seccomp profile forbids it.
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

// Take waits until something has arrived at a connection, and takes as much of it as there is room for, but no more than so many bytes. What was taken
// before has to be given by then. At the end of what the connection receives, the error is [io.EOF].
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

// Give gives a connection all that was taken, and returns how much it has taken.
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

// Close closes the pipe, with what it holds.
func (p *Pipe) Close() error {
	return errors.Join(unix.Close(p.in), unix.Close(p.out))
}

// move splices once a connection is ready for it. The pipe is: it is empty where something is taken, and holds something where that is given.
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
