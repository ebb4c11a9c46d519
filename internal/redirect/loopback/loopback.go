// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package loopback is the redirector's port on 127.0.0.1. It consists of a socket that outlives the process that serves with it (ADR 29), and of
// connections. Connections without requests cannot keep out a pull (ADR 26).
package loopback

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Bind returns a socket that has the port of 127.0.0.1 and does not listen yet. Once a redirector listens on it ([Listen]), the kernel accepts
// connections as long as any process has the socket open. Connections that arrive while no redirector runs wait for the next redirector. Another
// redirector of the same user may have the port at the same time, such as while one agent replaces another.
func Bind(port int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}),
	); err != nil {
		return nil, errors.Join(fmt.Errorf("binding port %d of 127.0.0.1: %w", port, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "redirector"), nil
}

// Listen makes a bound socket listen, and holds at most this many connections. The caller may close the socket then.
func Listen(socket *os.File, most int) (net.Listener, error) {
	connection, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	var listening error
	if err := connection.Control(func(fd uintptr) { listening = unix.Listen(int(fd), unix.SOMAXCONN) }); err != nil {
		return nil, err
	}
	if listening != nil {
		return nil, listening
	}
	listener, err := net.FileListener(socket)
	if err != nil {
		return nil, err
	}
	tcp, _ := listener.(*net.TCPListener) // which is what listens by such a socket
	return hold(tcp, most), nil
}
