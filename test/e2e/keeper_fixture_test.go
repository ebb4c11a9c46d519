// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// keeper watches the files of Mirrorset on the node in two ways: it reads them all the time as a runtime may, and it has the
// kernel tell of every change of their folders, so that nothing is too short to be seen.
type keeper struct {
	where   func(path string) string // of a file of the node, for this process
	paths   []string
	watcher *fsnotify.Watcher
	end     chan struct{}
	ended   chan struct{}

	// These are its goroutine's until ended is closed.
	reads    int
	contents map[string][]string // of each path, without repetitions; "" where it was not there
	events   []fsnotify.Event
	err      error // the first
}

// keepWatch begins with the files that there are. The spec must call [keeper.stop].
func (m *operator) keepWatch() *keeper {
	GinkgoHelper()
	k := &keeper{where: m.Path, end: make(chan struct{}), ended: make(chan struct{}), contents: map[string][]string{}}
	var err error
	k.watcher, err = fsnotify.NewWatcher()
	Expect(err).NotTo(HaveOccurred())
	for path := range m.files() {
		k.paths = append(k.paths, path)
		for _, folder := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
			Expect(k.watcher.Add(m.Path(folder))).To(Succeed())
		}
	}
	go k.run()
	DeferCleanup(k.stop)
	return k
}

func (k *keeper) run() {
	defer close(k.ended)
	pace := time.NewTicker(200 * time.Microsecond) // leaves the machine's processors to the others
	defer pace.Stop()
	for {
		select {
		case <-k.end:
			return
		case event := <-k.watcher.Events:
			k.events = append(k.events, event)
		case err := <-k.watcher.Errors:
			k.err = cmp.Or(k.err, err)
		case <-pace.C:
			k.read()
		}
	}
}

func (k *keeper) read() {
	k.reads++
	for _, path := range k.paths {
		text, err := os.ReadFile(k.where(path))
		if err != nil {
			text = nil
			k.err = cmp.Or(k.err, err)
		}
		if seen := k.contents[path]; len(seen) == 0 || seen[len(seen)-1] != string(text) {
			k.contents[path] = append(seen, string(text))
		}
	}
}

// stop ends the watch; once is enough.
func (k *keeper) stop() {
	select {
	case <-k.ended:
	default:
		close(k.end)
		<-k.ended
		_ = k.watcher.Close() // it is only read from
	}
}

// expectWhole ends the watch, and wants that each file was there all the time and only ever had one of these contents, in this
// order, each put in place as a whole.
func (k *keeper) expectWhole(versions ...map[string]string) {
	GinkgoHelper()
	k.stop()
	Expect(k.err).NotTo(HaveOccurred())
	Expect(k.reads).To(BeNumerically(">", 100))
	renames := 0
	for _, path := range k.paths {
		for _, event := range k.events {
			Expect(event.Name).NotTo(Equal(k.where(filepath.Dir(path))), "%s", event)
			if event.Name == k.where(path) {
				Expect(event.Op).To(Equal(fsnotify.Create), "%s", event) // renamed to this name, or else a write would follow
				renames++
			}
		}
		var want []string
		for _, version := range versions {
			Expect(version).To(HaveKey(path))
			want = append(want, version[path])
		}
		Expect(k.contents[path]).To(Equal(slices.Compact(want)), path)
	}
	AddReportEntry("files watched", fmt.Sprintf("%d files read %d times; %d versions; replaced %d times; never absent, never partial",
		len(k.paths), k.reads, len(versions), renames), ReportEntryVisibilityAlways)
}
