// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"github.com/fsnotify/fsnotify"

	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// HostNotWatched is the reason of a problem with inotify, whose limits all programs of a host share.
const HostNotWatched nodecheck.Reason = "HostNotWatched"

// wakeOnEvents queues a pass on every change of the watched folders, until the watcher is closed.
func (l *loop) wakeOnEvents(files *fsnotify.Watcher) {
	for {
		select {
		case event, ok := <-files.Events:
			if !ok {
				return
			}
			if hostfile.IsTemporary(event.Name) { // else a write that fails would bring about the next one
				continue
			}
		case err, ok := <-files.Errors:
			if !ok {
				return
			}
			l.log.Error(err, "Lost events about the host's files; checking all files")
		}
		l.queue.Add(struct{}{})
	}
}

// watchFolders watches the folders that exist now, and reports if the watch of one began. Watching a folder twice is no error. The watch on its
// parent, or the next rescan, finds a missing folder. If a folder cannot be watched, each pass tries again.
func (l *loop) watchFolders() (began bool) {
	l.node.notWatched = nil
	if l.files == nil {
		files, err := fsnotify.NewWatcher()
		if err != nil {
			l.notWatched(fmt.Sprintf("this host has no free inotify instance (%v)", err), "max_user_instances")
			return false
		}
		l.files = files
		go l.wakeOnEvents(files)
	}
	for _, folder := range append([]string{path.Dir(statePath)}, l.node.sinks.watched()...) {
		if err := l.files.Add(filepath.Join(l.hostRoot, folder)); errors.Is(err, syscall.ENOSPC) {
			l.notWatched(fmt.Sprintf("the agent cannot watch /%s, because this host has no free inotify watch", folder), "max_user_watches")
			break
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) && err.Error() != l.unseen {
			l.unseen = err.Error()
			l.log.Error(l.node.state.host.Explain(folder, err), "Cannot watch a folder, so changes of other programs in it are found only by the next check of all files")
		}
	}
	watched := make(map[string]fs.FileInfo)
	for _, name := range l.files.WatchList() { // one folder by two names is in it once
		now, err := os.Stat(name)
		if err != nil {
			continue
		}
		watched[name] = now
		began = began || !os.SameFile(l.watched[name], now) // another one may have come into its place
	}
	l.watched = watched
	return began
}

// notWatched is a problem of the node until a pass finds it gone.
func (l *loop) notWatched(what, limit string) {
	l.node.notWatched = &nodecheck.Problem{
		Reason: HostNotWatched, Effect: nodecheck.Mild,
		Message: fmt.Sprintf("%s, so the agent repairs changes to the files of Mirrorset within %s, and not immediately", what, l.rescan),
		Remedy:  fmt.Sprintf("raise the limit: sysctl -w fs.inotify.%s=NUMBER, with a NUMBER greater than the one that sysctl fs.inotify shows; or stop the program that uses so many", limit),
	}
}
