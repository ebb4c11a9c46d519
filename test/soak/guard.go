// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// guard reads the files of the hosts all the time, and requires that the sources that are always blocked are closed in every state of the files.
type guard struct {
	hosts []string
	looks atomic.Int64 // at one file
	files atomic.Int64 // of different content from one look to the next
}

// look returns an error at the first file that is open or not there.
func (g *guard) look(ctx context.Context) error {
	last := map[string][]byte{}
	for ctx.Err() == nil {
		for _, root := range g.hosts {
			for path, opens := range g.judges() {
				file := filepath.Join(root, path)
				text, err := os.ReadFile(file)
				if err != nil {
					return fmt.Errorf("always blocked: %w", err)
				}
				g.looks.Add(1)
				if bytes.Equal(text, last[file]) {
					continue
				}
				if wrong := opens(text); wrong != "" {
					return fmt.Errorf("%s: %s:\n%s", file, wrong, text)
				}
				last[file] = text
				g.files.Add(1)
			}
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// judges are the files, each with what says how a text of it opens what is always blocked; "" where it does not.
func (g *guard) judges() map[string]func(text []byte) string {
	all := map[string]func([]byte) string{dropIn: dropInOpens}
	for _, source := range closed {
		registry, _, _ := strings.Cut(source, "/")
		all[filepath.Join(certsDir, registry, "hosts.toml")] = func(text []byte) string { return hostsOpens(registry, text) }
	}
	return all
}

func dropInOpens(text []byte) string {
	var f struct {
		Registry []struct {
			Location string `toml:"location"`
			Blocked  bool   `toml:"blocked"`
		} `toml:"registry"`
	}
	if err := toml.Unmarshal(text, &f); err != nil {
		return err.Error()
	}
	for _, source := range closed {
		blocked := false
		for _, r := range f.Registry {
			blocked = blocked || r.Location == source && r.Blocked
			if strings.HasPrefix(r.Location, source+"/") {
				return r.Location + " has a table of its own"
			}
		}
		if !blocked {
			return source + " is open"
		}
	}
	return ""
}

// hostsOpens requires a server in the file, because without one, containerd contacts the registry itself. It also requires that no entry has the
// registry's name. The quiet points check the answers of the redirector.
func hostsOpens(registry string, text []byte) string {
	f, err := parseHosts(text)
	if err != nil {
		return err.Error()
	}
	for _, e := range f.endpoints() {
		if e.url == "" || strings.Contains(e.url, "//"+registry) {
			return fmt.Sprintf("%q leads to %s", e.url, registry)
		}
	}
	return ""
}
