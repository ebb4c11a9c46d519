// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestARuntimeThatDoesNotReadTheRulesIsReportedWithTheRemedy(t *testing.T) {
	const joined = "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\n  config_path = \"/etc/containerd/certs.d:/etc/docker/certs.d\"\n"
	for name, dir := range map[string]string{"in its own place": "", "mounted elsewhere": "config/containerd"} {
		t.Run(name, func(t *testing.T) {
			config := "etc/containerd/config.toml"
			if dir != "" {
				config = dir + "/config.toml"
			}
			n, root, logged := newHost(t, files{other: foreign, config: joined})
			n.settings.ContainerdConfigDir = dir
			offer(t, n, 0, "s.com")
			for _, want := range []string{"ContainerdConfigPathJoined", "/etc/containerd/config.toml", `config_path = \"/etc/containerd/certs.d\"`, "systemctl restart containerd"} {
				if !strings.Contains(logged.String(), want) {
					t.Errorf("%q is not in %s", want, logged)
				}
			}
			logged.Reset()
			write(t, root, config, strings.Replace(joined, ":/etc/docker/certs.d", "", 1))
			if err := n.repair(); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(logged.String(), "Containerd") {
				t.Errorf("once it is mended: %s", logged)
			}
		})
	}
}

func TestTheAgeOfAFolderIsCompared(t *testing.T) {
	n, root, _ := newHost(t, files{etc + "10.conf": ""})
	now := time.Now()
	if up := now.Sub(booted()); up < 0 || up > 100*365*24*time.Hour {
		t.Errorf("booted %s ago", up)
	}
	at := born(n.host.FS(), filepath.Dir(etc+"x"))
	if at.IsZero() {
		t.Log("this file system does not keep when a file was created")
	} else if at.After(now.Add(time.Second)) || at.Before(now.Add(-time.Minute)) {
		t.Errorf("born %s", at)
	}
	if err := os.RemoveAll(filepath.Join(root, etc)); err != nil {
		t.Fatal(err)
	}
	if at := born(n.host.FS(), filepath.Dir(etc+"x")); !at.IsZero() {
		t.Errorf("what is not there was born %s", at)
	}
}

func TestAFolderThatWasReplacedOnTheHostIsNoticed(t *testing.T) {
	n, root, _ := newHost(t, files{other: foreign, "config/containerd/config.toml": ""})
	n.settings.ContainerdConfigDir = "config/containerd"
	there := filepath.Join(root, "config/containerd/certs.d")
	if err := n.replaced(); err == nil {
		t.Error("a folder that is gone is not noticed")
	}
	// A link stands for the host's own folder, which a test cannot mount.
	if err := os.Symlink(filepath.Join(root, certsDir), there); err != nil {
		t.Fatal(err)
	}
	if err := n.replaced(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(there); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(there, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := n.replaced(); err == nil || !strings.Contains(err.Error(), "/etc/containerd/certs.d was replaced") {
		t.Errorf("error %v", err)
	}
	n.settings.CertsDir = "/var/lib/elsewhere/certs.d"
	if err := n.replaced(); err != nil {
		t.Errorf("a folder that cannot be compared: %v", err)
	}
}
