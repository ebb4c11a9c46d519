// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package onhost_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
)

const (
	etc = "etc/containers/registries.conf.d/"
	usr = "usr/share/containers/registries.conf.d/"
)

// preflight is that of rules for these sources.
func preflight(t *testing.T, host *hostfile.Host, sources ...string) onhost.Candidate {
	t.Helper()
	accepted := sinktest.Accepted(t, 0, sources...)
	c, err := onhost.Preflight(host, accepted.Rules, accepted.Text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sources are those in a drop-in.
func sources(t *testing.T, text []byte) []string {
	t.Helper()
	if text == nil {
		return nil
	}
	decoded, err := registriesconf.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, rule := range decoded {
		found = append(found, string(rule.Source))
	}
	return found
}

// try runs the preflight of rules for these sources beside these files. Findings are about sources that are not in force, and
// about all else.
func try(t *testing.T, have sinktest.Files, wanted ...string) (kept []string, findings []string) {
	t.Helper()
	host, _ := sinktest.NewHost(t, have)
	c := preflight(t, host, wanted...)
	kept = sources(t, c.Text)
	if len(kept) != c.Rules {
		t.Errorf("%d rules in the text, and %d said", len(kept), c.Rules)
	}
	for _, p := range c.Problems {
		findings = append(findings, fmt.Sprintf("%s %s: %s: %s", p.Effect, p.Reason, p.Message, p.Remedy))
	}
	for _, f := range c.Findings {
		if len(f.Sources) == 0 {
			t.Errorf("%s is about no source: the node's status does not say it", f.Message)
		}
		findings = append(findings, "NotInForce "+string(f.Reason)+": "+f.Message)
	}
	return kept, findings
}

// wantTry checks the sources that are kept and the findings, of which each wanted one is the parts that must be in it.
func wantTry(t *testing.T, kept, findings, wantKept []string, wantFindings [][]string) {
	t.Helper()
	if !slices.Equal(kept, wantKept) {
		t.Errorf("kept %q, want %q", kept, wantKept)
	}
	if len(findings) != len(wantFindings) {
		t.Fatalf("findings %q, want %q", findings, wantFindings)
	}
	for i, parts := range wantFindings {
		for _, part := range parts {
			if !strings.Contains(findings[i], part) {
				t.Errorf("finding %q lacks %q", findings[i], part)
			}
		}
	}
}
