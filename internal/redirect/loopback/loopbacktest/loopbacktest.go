// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package loopbacktest sends a server requests over connections that the test controls.
package loopbacktest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// Dial opens a connection, and sends a text.
func Dial(t *testing.T, address, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// Get returns the text of a GET request.
func Get(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
}

// Answer reads the status of one answer. The server should answer immediately: the deadline only makes sure that a test ends.
func Answer(t *testing.T, c net.Conn) (status int, err error) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute / 2)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}
