// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package redirect

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Bind returns a socket that has the port of 127.0.0.1 and does not listen yet. A redirector that is given it ([Config]) listens by it. Once one
// does, connections are taken for as long as any process has the socket open: those that come while no redirector is there wait for the next one.
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

// listenBy has a bound socket listen.
func listenBy(socket *os.File) (net.Listener, error) {
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
	return net.FileListener(socket)
}
