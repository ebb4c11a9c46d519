// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fsnotify/fsnotify"

	"github.com/mirrorset/mirrorset/internal/hostfile"
)

// The agent looks at all files again after each event, so a write of its own that changes nothing must not cause one.
func TestWhatIsInPlaceIsWrittenWithoutAnEvent(t *testing.T) {
	for name, file := range map[string]hostfile.File{"public": hosts, "private": {Path: quayFile, Marker: marker, Private: true}} {
		t.Run(name, func(t *testing.T) {
			h, root := open(t)
			if _, err := h.ReplaceInFolder(file, []byte(newer)); err != nil {
				t.Fatal(err)
			}
			watcher, err := fsnotify.NewWatcher()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = watcher.Close() }()
			for _, folder := range []string{certs, quay} {
				if err := watcher.Add(filepath.Join(root, folder)); err != nil {
					t.Fatal(err)
				}
			}
			if changed, err := h.ReplaceInFolder(file, []byte(newer)); changed || err != nil {
				t.Fatalf("changed %t, error %v", changed, err)
			}
			last := filepath.Join(root, certs, "last")
			if err := os.Mkdir(last, 0o700); err != nil {
				t.Fatal(err)
			}
			if event := <-watcher.Events; event.Name != last {
				t.Errorf("%s, before %s", event, last)
			}
		})
	}
}
