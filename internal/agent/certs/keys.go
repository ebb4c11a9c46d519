// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/rand"
	"encoding/json"
	"io/fs"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/route"
)

// keysFile has the keys of the redirector, for all agents of the host: an agent that replaces another serves next to it.
var keysFile = hostfile.File{Path: "var/lib/mirrorset/redirector-keys.json", Private: true}

// keyLife is how long a key is written into files. A pull that began with a file continues with its key for the same time.
const keyLife = 24 * time.Hour

// maxKeys bounds the file, in bytes.
const maxKeys = 4096

// keyring are the keys that open the redirector of this host (docs/reference/semantics.md N10).
type keyring struct {
	host *hostfile.Host
	log  logr.Logger

	mu   sync.Mutex
	read fs.FileInfo // the file that was read last
	keys keys
}

// keys are what the file says.
type keys struct {
	Current  string    `json:"current"`
	Previous string    `json:"previous,omitempty"`
	Since    time.Time `json:"since"`
}

// open returns the keys that open the redirector. There are none before an agent of this host has first written a file.
func (k *keyring) open() []route.Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.look()
	var open []route.Key
	for _, key := range []string{k.keys.Current, k.keys.Previous} {
		if key != "" {
			open = append(open, route.Key(key))
		}
	}
	return open
}

// write returns the key for the files that are written now, and puts a new one in force where it is time for it, or where there is none. Only
// the agent that may write on this host calls it. An error says that the file cannot be written; the key is then the one from before, or one that no
// other agent will know.
func (k *keyring) write() (route.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.look()
	next := k.keys
	if age := time.Since(next.Since); next.Current == "" || age < 0 || age >= keyLife {
		next = keys{Current: rand.Text() + rand.Text(), Previous: next.Current, Since: time.Now().UTC()}
	}
	text, err := json.Marshal(next)
	if err == nil {
		_, err = k.host.Replace(keysFile, text) // where it does not say so already
	}
	if err == nil || k.keys.Current == "" {
		k.keys = next
	}
	return route.Key(k.keys.Current), err
}

// look reads the file if it is another one than before. One that cannot be read leaves the keys as they are.
func (k *keyring) look() {
	now, err := k.host.Lstat(keysFile.Path)
	if err != nil || !now.Mode().IsRegular() || k.read != nil && hostfile.SameFile(k.read, now) {
		return
	}
	text, err := k.host.ReadRegular(keysFile.Path, maxKeys)
	var found keys
	if err == nil {
		err = json.Unmarshal(text, &found)
	}
	k.read = now
	if err != nil || found.Current == "" {
		k.log.Info("Cannot read the file with the redirector's keys; keeping the earlier keys, or creating new ones", "path", "/"+keysFile.Path)
		return
	}
	k.keys = found
}

func (k *keyring) remove() error {
	_, err := k.host.Remove(keysFile)
	return err
}
