// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// wantInCatalog fails if the catalog lacks a version that the changelog has: OLM would offer no more versions to
// users of that version.
func wantInCatalog(changelog, catalog string) error {
	for _, found := range heading.FindAllStringSubmatch(changelog, -1) {
		if name := "mirrorset.v" + found[1]; found[1] != "Unreleased" && !strings.Contains(catalog, "- name: "+name+"\n") {
			return fmt.Errorf("has no %s, which CHANGELOG.md has: merge the catalog.yaml of that release into catalog/ (CONTRIBUTING.md)", name)
		}
	}
	return nil
}
