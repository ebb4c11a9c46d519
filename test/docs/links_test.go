// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

var (
	// link is a link of Markdown: its target, and the anchor in it.
	link = regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]+))?\)`)

	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	code    = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	span    = regexp.MustCompile("`[^`\n]*`")
)

// blob is where the hosted documents are; links from packages and programs go there.
const blob = "https://github.com/mirrorset/mirrorset/blob/main/"

func TestLinksWithinTheRepositoryLeadSomewhere(t *testing.T) {
	links := 0
	for file, text := range documents(t) {
		for _, found := range link.FindAllStringSubmatch(prose(text), -1) {
			target, within := strings.CutPrefix(found[1], blob)
			switch {
			case !within && strings.Contains(target, ":"):
				continue
			case target == "":
				target = file
			case !within:
				target = path.Join(path.Dir(file), target)
			}
			links++
			linked, err := os.ReadFile(filepath.Join(root, target))
			if info, gone := os.Stat(filepath.Join(root, target)); gone != nil {
				t.Errorf("%s: there is no %s", file, target)
			} else if found[2] != "" && (info.IsDir() || err != nil || !anchors(string(linked))[found[2]]) {
				t.Errorf("%s: %s has no heading #%s", file, target, found[2])
			}
		}
	}
	if links < 100 {
		t.Errorf("found only %d links", links)
	}
}

// prose is a document without its code, in which brackets are no links.
func prose(text string) string {
	return span.ReplaceAllString(code.ReplaceAllString(text, ""), "")
}

// anchors are the names that GitHub gives the headings of a document: in lower case, with hyphens for spaces, without
// punctuation, and with a number where the name is taken.
func anchors(text string) map[string]bool {
	names := map[string]bool{}
	for _, found := range heading.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(found[1], "$1"))
		unique := name
		for i := 1; names[unique]; i++ {
			unique = name + "-" + strconv.Itoa(i)
		}
		names[unique] = true
	}
	return names
}

func TestAnchorsAreThoseOfGitHub(t *testing.T) {
	got := anchors("# `kubectl mirrors` pulls\n\n## What's new, in 1.0?\n\n```sh\n# no heading\n```\n\n## [Link](x.md)\n\n## Link\n")
	for _, want := range []string{"kubectl-mirrors-pulls", "whats-new-in-10", "link", "link-1"} {
		if !got[want] {
			t.Errorf("no %q in %v", want, got)
		}
	}
	if len(got) != 4 {
		t.Errorf("got %v", got)
	}
}
