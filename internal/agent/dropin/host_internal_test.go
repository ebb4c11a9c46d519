// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package dropin

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

const (
	etc = "etc/containers/registries.conf.d/"
	usr = "usr/share/containers/registries.conf.d/"
)

// newHost returns the sink of a host with these files, and the host's root directory.
func newHost(t *testing.T, have sinktest.Files) (n *Sink, root string) {
	t.Helper()
	host, root := sinktest.NewHost(t, have)
	return newSink(sinktest.Env(host, logr.Discard()), false), root
}

// apply puts rules for sources in force.
func apply(t *testing.T, n *Sink, sources ...string) sink.Outcome {
	t.Helper()
	apply, err := n.Try(sinktest.Accepted(t, 0, sources...))
	if err != nil {
		t.Fatal(err)
	}
	outcome := apply()
	if outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	return outcome
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
	n, _ := newHost(t, have)
	c, err := preflight(n.env.Host, sinktest.Accepted(t, 0, wanted...))
	if err != nil {
		t.Fatal(err)
	}
	kept = sources(t, c.text)
	if len(kept) != c.rules {
		t.Errorf("%d rules in the text, and %d said", len(kept), c.rules)
	}
	for _, p := range c.problems {
		findings = append(findings, fmt.Sprintf("%s %s: %s: %s", p.Effect, p.Reason, p.Message, p.Remedy))
	}
	for _, f := range c.findings {
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
