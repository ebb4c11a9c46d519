// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package dropin

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
)

func TestRootsProcessesAreFoundByTheirName(t *testing.T) {
	status := func(name, uid string) *fstest.MapFile {
		return &fstest.MapFile{Data: fmt.Appendf(nil, "Name:\t%s\nUmask:\t0022\nUid:\t%s\nGid:\t0\t0\t0\t0\n", name, uid)}
	}
	proc := fstest.MapFS{
		"1/status":   status("systemd", "0\t0\t0\t0"),
		"20/status":  status("crio", "0\t0\t0\t0"),
		"30/status":  status("crio", "1000\t0\t0\t0"),
		"40/status":  status("crio-helper", "0\t0\t0\t0"),
		"50/comm":    status("crio", "0\t0\t0\t0"),
		"net/status": status("crio", "0\t0\t0\t0"),
	}
	pids, err := processes(proc, crioName)
	if err != nil || len(pids) != 1 || pids[0] != 20 {
		t.Errorf("got %d, error %v", pids, err)
	}
}

func TestTheAgeOfAFolderIsCompared(t *testing.T) {
	n, root := newHost(t, sinktest.Files{etc + "10.conf": ""})
	now := time.Now()
	at := born(n.env.Host.FS(), filepath.Dir(etc+"x"))
	if at.IsZero() {
		t.Log("this file system does not keep when a file was created")
	} else if at.After(now.Add(time.Second)) || at.Before(now.Add(-time.Minute)) {
		t.Errorf("born %s", at)
	}
	if err := os.RemoveAll(filepath.Join(root, etc)); err != nil {
		t.Fatal(err)
	}
	if at := born(n.env.Host.FS(), filepath.Dir(etc+"x")); !at.IsZero() {
		t.Errorf("what is not there was born %s", at)
	}
}
