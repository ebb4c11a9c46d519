// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"strings"
)

// heading begins a version's section of the changelog.
var heading = regexp.MustCompile(`(?m)^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$`)

// notes returns what the changelog says of the version. A pre-release has what is not released yet.
func (r release) notes(changelog string) (string, error) {
	want := strings.TrimPrefix(r.version, "v")
	if r.preRelease() {
		want = "Unreleased"
	}
	headings := heading.FindAllStringSubmatchIndex(changelog, -1)
	for i, at := range headings {
		if changelog[at[2]:at[3]] != want {
			continue
		}
		end := len(changelog)
		if i+1 < len(headings) {
			end = headings[i+1][0]
		}
		text := strings.TrimSpace(changelog[at[1]:end])
		switch {
		case r.preRelease():
		case at[4] < 0:
			return "", fmt.Errorf("the section of %s has no date: write ## [%s] - YYYY-MM-DD", r.version, want)
		case text == "":
			return "", fmt.Errorf("the section of %s is empty: say what changed", r.version)
		}
		return text + "\n", nil
	}
	return "", fmt.Errorf("%s has no section: add ## [%s]", r.version, want)
}
