// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhatEntersANodeNeverRunsOnTheThreadThatCannotEnd(t *testing.T) {
	for range 1000 {
		thread := make(chan int)
		go onThread(func() { thread <- unix.Gettid() })
		if <-thread == os.Getpid() {
			t.Fatal("it ran on the main thread")
		}
	}
}
