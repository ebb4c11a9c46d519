// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/route"
)

// failer is what a *testing.T and a *rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func parseScopes(t failer, texts []string) mirrors.Scopes {
	t.Helper()
	scopes, err := mirrors.ParseScopes(texts)
	if err != nil {
		t.Fatal(err)
	}
	return scopes
}

// redirector is the address of one.
const redirector = "127.0.0.1:289"

// project projects sets in the notation of mirrorstest, on a node with a redirector.
func project(t *testing.T, text string, insecure ...string) certsd.Tree {
	t.Helper()
	return projectOn(t, certsd.Node{Redirector: redirector}, text, insecure...)
}

func projectOn(t *testing.T, node certsd.Node, text string, insecure ...string) certsd.Tree {
	t.Helper()
	return certsd.Project(rules(t, text, insecure...), node)
}

func rules(t *testing.T, text string, insecure ...string) []mirrors.Rule {
	t.Helper()
	sets, err := mirrorstest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return kinds.Merge(sets, parseScopes(t, insecure)).Rules
}

func parse(t failer, host string, content []byte) []certsd.Endpoint {
	t.Helper()
	hosts, err := certsd.Parse(host, content)
	if err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	return hosts
}

// cutEntries separates the redirector's entries from the endpoints after them.
func cutEntries(hosts []certsd.Endpoint) (entries, behind []certsd.Endpoint) {
	n := 0
	for n < len(hosts) && strings.HasPrefix(hosts[n].Path, route.RedirectorPath) {
		n++
	}
	return hosts[:n], hosts[n:]
}

// describe writes a tree as one line per host, in the order of files and then of pending hosts: "s.com: https://m.com/v2 [digest], redirector/0
// [digest]", "s.com: pending".
func describe(t *testing.T, tree certsd.Tree) []string {
	t.Helper()
	var lines []string
	for _, f := range tree.Files {
		var all []string
		for _, e := range parse(t, f.Host, f.Content) {
			text := strings.Replace(e.Scheme+"://"+e.Host+e.Path, "http://"+redirector+route.RedirectorPath, "redirector/", 1)
			if e.Host == "" {
				text = "itself"
			}
			if e.SkipVerify {
				text += " [any certificate]"
			}
			if e.DigestOnly {
				text += " [digest]"
			}
			if e.NoPush && e.Host != redirector {
				text += " [no push]"
			}
			if len(e.CA)+len(e.Client) > 0 {
				text += fmt.Sprint(" ", e.CA, e.Client)
			}
			all = append(all, text)
		}
		lines = append(lines, f.Host+": "+strings.Join(all, ", "))
	}
	for _, p := range tree.Pending {
		line := p.Host + ": pending"
		if p.Blocked {
			line += " [blocked]"
		}
		lines = append(lines, line)
	}
	return lines
}

func expect(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got  %s\n want %s", what, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
	}
}
