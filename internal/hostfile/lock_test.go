// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/hostfile"
)

const lockPath = "var/lib/ours/lock"

// second opens the same root again, as another process would.
func second(t *testing.T, root string) *hostfile.Host {
	t.Helper()
	h, err := hostfile.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func TestALockHasOneHolder(t *testing.T) {
	h, root := open(t)
	unlock, err := h.Lock(t.Context(), lockPath)
	if err != nil {
		t.Fatal(err)
	}
	other := second(t, root)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := other.Lock(ctx, lockPath); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the second lock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := other.Lock(t.Context(), lockPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}

func TestALockIsHandedToTheOneThatWaits(t *testing.T) {
	h, root := open(t)
	unlock, err := h.Lock(t.Context(), lockPath)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	other := second(t, root)
	go func() {
		unlockOther, err := other.Lock(t.Context(), lockPath)
		if err == nil {
			err = unlockOther()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("both hold the lock (error %v)", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-got:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the lock is not handed over")
	}
}

func TestALockFileIsNoLinkOutOfTheRoot(t *testing.T) {
	h, root := open(t)
	link(t, "../../../../victim", root, lockPath)
	if _, err := h.Lock(t.Context(), lockPath); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(filepath.Join(root, "../victim")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
