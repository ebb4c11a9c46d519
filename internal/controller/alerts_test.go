// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// TestTheAlertIsAboutFindingsThatAskForSomething holds the alert to what there are events of.
func TestTheAlertIsAboutFindingsThatAskForSomething(t *testing.T) {
	rules, err := os.ReadFile("../../config/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, reason := range mirrors.Reasons() {
		if informational[reason] {
			left = append(left, string(reason))
		}
	}
	slices.Sort(left)
	if want := `mirrorset_findings{reason!~"` + strings.Join(left, "|") + `"}`; !strings.Contains(string(rules), want) {
		t.Errorf("no alert has %s", want)
	}
}
