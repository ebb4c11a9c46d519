// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"path/filepath"
	"testing"

	"github.com/fsnotify/fsnotify"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
)

// TestAPassThatChangesNothingTouchesNothing holds that no pass brings about the next one: the loop is woken by each event of these folders.
func TestAPassThatChangesNothingTouchesNothing(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{other: foreign})
	n = withRedirector(t, n)
	offer(t, n, 0, "!shut.com/x", "open.com")
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = watcher.Close() })
	for _, folder := range append(n.Folders(), dir+"/shut.com", dir+"/open.com", filepath.Dir(keysFile.Path)) {
		_ = watcher.Add(filepath.Join(root, folder)) // of those that there are
	}
	for range 3 {
		if err := n.repair(); err != nil {
			t.Fatal(err)
		}
	}
	sinktest.Write(t, root, dir+"/last.com/last", "") // events come in order
	for event := range watcher.Events {
		if filepath.Base(event.Name) == "last.com" {
			break
		}
		t.Errorf("a pass brought about %s", event)
	}
}
