// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"
	"k8s.io/client-go/util/workqueue"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
)

func TestAFileThatIsBeingWrittenWakesNobody(t *testing.T) {
	root := t.TempDir()
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watcher.Close() }()
	if err := watcher.Add(root); err != nil {
		t.Fatal(err)
	}
	l := &loop{
		log:   logr.Discard(),
		files: watcher,
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[struct{}](retryFirst, retryLast)),
	}
	go l.wakeOnEvents(watcher)
	woken := make(chan struct{})
	go func() {
		l.queue.Get()
		close(woken)
	}()
	sinktest.Write(t, root, "50-mirrorset.conf.mirrorset-tmp", "x")
	select {
	case <-woken:
		t.Fatal("woken by a temporary file")
	case <-time.After(200 * time.Millisecond):
	}
	sinktest.Write(t, root, "10-theirs.conf", "x")
	select {
	case <-woken:
	case <-time.After(10 * time.Second):
		t.Error("not woken by a drop-in")
	}
}

func TestARegistryThatCannotBeWrittenIsTriedAgain(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{other: foreign, certsDir + "/.old.com.mirrorset-tmp/theirs": ""})
	offer(t, n, 0, "old.com")
	l := loopOf(t, n, root, "")
	for _, want := range []int{1, 2, 0} {
		if want == 0 {
			if err := os.RemoveAll(filepath.Join(root, certsDir, ".old.com.mirrorset-tmp")); err != nil {
				t.Fatal(err)
			}
		}
		l.queue.Add(struct{}{})
		l.next(t.Context())
		if got := l.queue.NumRequeues(struct{}{}); got != want {
			t.Errorf("queued again %d times, want %d", got, want)
		}
	}
}

func TestTheWatchOfOneFolderByTwoNamesBeginsOnce(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{"etc/containers/registries.conf.d/10-theirs.conf": ""})
	offer(t, n, 1, "s.com")
	sinktest.Symlink(t, "registries.conf.d", root, "etc/containers/registries.rootful.conf.d")
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watcher.Close() }()
	l := &loop{node: n.node, log: logr.Discard(), files: watcher, hostRoot: root}
	if !l.watchFolders() {
		t.Error("no watch began")
	}
	if l.watchFolders() {
		t.Error("a watch began again, and each pass would lead to another")
	}
	dir := filepath.Join(root, "etc/containers/registries.conf.d")
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if !l.watchFolders() {
		t.Error("the watch of a folder in the place of another did not begin")
	}
}
