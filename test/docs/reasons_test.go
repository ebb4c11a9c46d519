// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var reason = regexp.MustCompile(`(?m)^\tReason\w+ += "(\w+)"$`)

func TestTheStatusPageExplainsEachReason(t *testing.T) {
	page := documents(t)["docs/reference/status.md"]
	for _, file := range []string{"api/config/v1/conditions.go", "api/mirrorset/v1alpha1/conditions.go"} {
		source, err := os.ReadFile(root + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		reasons := reason.FindAllStringSubmatch(string(source), -1)
		if len(reasons) < 10 {
			t.Errorf("found only %d reasons in %s", len(reasons), file)
		}
		for _, r := range reasons {
			if !strings.Contains(page, "`"+r[1]+"`") {
				t.Errorf("docs/reference/status.md does not explain %s of %s", r[1], file)
			}
		}
	}
}
