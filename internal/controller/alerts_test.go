// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"os"
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
	if want := fmt.Sprintf("mirrorset_findings{class!=%q}", mirrors.Informational); !strings.Contains(string(rules), want) {
		t.Errorf("no alert has %s", want)
	}
}
