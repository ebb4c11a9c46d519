// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package hostfiletest detects which files a test opens. It also changes files as a person does who leaves as few traces as possible.
package hostfiletest

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mirrorset/mirrorset/internal/hostfile"
)

// Opens returns a function that reports if the file was opened since its last call.
func Opens(t testing.TB, name string) (wasOpened func() bool) {
	t.Helper()
	events, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(events) })
	if _, err := unix.InotifyAddWatch(events, name, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	return func() bool {
		n, err := unix.Read(events, make([]byte, 4096))
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			t.Fatal(err)
		}
		return n > 0
	}
}

// Settle waits until the stamps of files, and of folders, show every further change.
func Settle(t testing.TB, host *hostfile.Host, names ...string) {
	t.Helper()
	for _, name := range names {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			if _, known := host.Stamp(name); known {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is never known", name)
			}
		}
	}
}

// Edit changes a byte of a file in its place, and gives it the time that it had.
func Edit(t testing.TB, name string) {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.TrimSuffix(content, []byte("\n"))
	if err := errors.Join(os.WriteFile(name, append(content, ' '), info.Mode()), os.Chtimes(name, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
}
