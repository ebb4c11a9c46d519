// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
	"github.com/mirrorset/mirrorset/internal/standing"
)

func TestTheSummaryCounts(t *testing.T) {
	for want, f := range map[string]cluster.Fleet{
		"No node has an agent.":                                      cluster.Survey(nil, publication(plugintest.Current)),
		"1 node has revision 1795573438818 in force.":                cluster.Survey(plugintest.NodeList(plugintest.NodeAt("a", plugintest.CurrentRevision)).Items, publication(plugintest.Current)),
		"0 of 1 node has revision 1795573438818 in force; 1 behind.": cluster.Survey(plugintest.NodeList(plugintest.NodeAt("a", 1)).Items, publication(plugintest.Current)),
		"2 nodes have revision 1795573438818 in force.":              cluster.Survey(plugintest.NodeList(plugintest.NodeAt("a", plugintest.CurrentRevision), plugintest.NodeAt("b", plugintest.CurrentRevision)).Items, publication(plugintest.Current)),
		"No rules are published; 1 silent.":                          cluster.Survey(plugintest.NodeList(plugintest.NodeAt("a", 0, plugintest.SaysNothing)).Items, nil),
	} {
		if got := f.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestANodeThatNoManagerWillOvertakeIsNamedWithTheWayBack(t *testing.T) {
	for days, want := range map[int]bool{0: false, 2: true} {
		revision := time.Now().AddDate(0, 0, days).UnixMilli()
		p := payload.New(revision-1, nil)
		if days > 0 {
			p = plugintest.Current
		}
		f := cluster.Survey(plugintest.NodeList(plugintest.NodeAt("a", revision)).Items, publication(p))
		if got := strings.Contains(f.Nodes[0].Message, "more than a day ahead of the manager's clock"); got != want || f.Nodes[0].Standing != standing.Ahead {
			t.Errorf("%d days ahead: %+v", days, f.Nodes[0])
		}
	}
}
