// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"
	"k8s.io/client-go/util/workqueue"
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
	go l.wakeOnFiles(t.Context(), time.Hour)
	woken := make(chan struct{})
	go func() {
		l.queue.Get()
		close(woken)
	}()
	write(t, root, "50-mirrorset.conf.mirrorset-tmp", "x")
	select {
	case <-woken:
		t.Fatal("woken by a temporary file")
	case <-time.After(200 * time.Millisecond):
	}
	write(t, root, "10-theirs.conf", "x")
	select {
	case <-woken:
	case <-time.After(10 * time.Second):
		t.Error("not woken by a drop-in")
	}
}
