// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"regexp"
	"strings"
	"testing"
)

// TestRewritesThatCarryOverMeanTheSame applies each rewrite as k3s does, and as longest match with a mirror does.
func TestRewritesThatCarryOverMeanTheSame(t *testing.T) {
	repositories := []string{"rancher/pause", "rancher/a/b", "library/alpine", "library/alpine-x", "team/rancher/pause", "rancherx/y"}
	for _, tt := range []struct {
		pattern, replacement string
		carries              bool
	}{
		{"^rancher/(.*)", "mirrored/$1", true},
		{"^rancher/(.*)$", "a/b/${1}", true},
		{`^rancher\/(.+)`, "$1", true},
		{"^library/alpine$", "os/alpine", true},
		{"(.*)", "all/$1", true},
		{"^(.*)$", "all/$1", true},
		{"rancher/(.*)", "mirrored/$1", false},  // anywhere
		{"^rancher(.*)", "mirrored$1", false},   // within a component
		{"^rancher/(.*)", "mirrored-$1", false}, // joined to a component
		{"^rancher/(.*)", "mirrored", false},    // all in one place
		{"^library/alpine$", "os/$1", false},
		{"^(.*)/(.*)$", "$2/$1", false},
		{"^ranch.r/(.*)", "mirrored/$1", false},
		{"^[a-z]+/(.*)", "mirrored/$1", false},
	} {
		from, to, ok := prefixes(tt.pattern, tt.replacement)
		if ok != tt.carries {
			t.Errorf("%s -> %s carries over: %v, want %v", tt.pattern, tt.replacement, ok, tt.carries)
		}
		for _, repository := range repositories {
			rest, matches := strings.CutPrefix(repository, from)
			matches = ok && matches && (from == "" || rest == "" || rest[0] == '/')
			if !matches {
				continue
			}
			want := regexp.MustCompile(tt.pattern).ReplaceAllString(repository, tt.replacement)
			if got := below(to, strings.TrimPrefix(rest, "/")); strings.TrimPrefix(got, "/") != want {
				t.Errorf("%s -> %s: %s becomes %s, want %s", tt.pattern, tt.replacement, repository, got, want)
			}
		}
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	const secrets = `{"mirrors": {"s.com": {"endpoint": ["https://me:hunter2@m.com", "hunter2:// x", "https://m.com"]}},
		"configs": {"m.com": {"auth": {"password": "hunter2", "token": {"x": "hunter2"}}}}, "auths": {"n.com": "hunter2"}}`
	c := &converter{name: "a"}
	if err := c.read("", []byte(secrets)); err != nil {
		t.Fatal(err)
	}
	if said := strings.Join(c.lost, "\n"); strings.Contains(said, "hunter2") || strings.Count(said, "credentials") < 3 || len(c.sets) != 2 {
		t.Errorf("sets %v, lost:\n%s", c.sets, said)
	}
}
