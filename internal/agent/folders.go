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

// HostNotWatched is the reason of a problem with inotify, whose limits are shared by all programs of a host.
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
			l.log.Error(err, "Events about the host's files were lost, so all are looked at")
		}
		l.queue.Add(struct{}{})
	}
}

// watchFolders watches the folders that there are now, and returns whether the watch of one began; to watch one twice is no error, and
// those that are missing are found by the watch on their parent or by the next rescan. What cannot be watched is tried again in each pass.
func (l *loop) watchFolders() (began bool) {
	l.node.notWatched = nil
	if l.files == nil {
		files, err := fsnotify.NewWatcher()
		if err != nil {
			l.notWatched(fmt.Sprintf("this host has no inotify instance left (%v)", err), "max_user_instances")
			return false
		}
		l.files = files
		go l.wakeOnEvents(files)
	}
	for _, folder := range append([]string{path.Dir(statePath)}, l.node.sinks.watched()...) {
		if err := l.files.Add(filepath.Join(l.hostRoot, folder)); errors.Is(err, syscall.ENOSPC) {
			l.notWatched(fmt.Sprintf("/%s cannot be watched, because this host has no inotify watch left", folder), "max_user_watches")
			break
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) && err.Error() != l.unseen {
			l.unseen = err.Error()
			l.log.Error(l.node.state.host.Explain(folder, err), "A folder cannot be watched, so changes of others in it are seen only when all files are looked at again")
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
		Message: fmt.Sprintf("%s, so what others do to Mirrorset's files is put right within %s, and not at once", what, l.rescan),
		Remedy:  fmt.Sprintf("raise the limit: sysctl -w fs.inotify.%s=NUMBER, with a greater NUMBER than sysctl fs.inotify shows, or end what uses so many", limit),
	}
}
