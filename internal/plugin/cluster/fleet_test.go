// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"strings"
	"testing"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
	"github.com/mirrorset/mirrorset/internal/standing"
)

func TestANodeStandsWhereTheManagerSeesIt(t *testing.T) {
	p := &standing.Published{Revision: plugintest.CurrentRevision, Digest: plugintest.Current.Digest}
	provisional := &standing.Published{Revision: plugintest.CurrentRevision, Digest: plugintest.Current.Digest, Provisional: true}
	for _, tt := range []struct {
		name  string
		node  mirrorsetv1alpha1.MirrorNode
		p     *standing.Published
		where standing.Standing
		why   string
	}{
		{"all is in force", plugintest.NodeAt("n", plugintest.CurrentRevision), p, standing.InForce, ""},
		{"no report", plugintest.NodeAt("n", 0, plugintest.SaysNothing), p, standing.Silent, "no agent has reported"},
		{"it failed with an older one", plugintest.NodeAt("n", plugintest.CurrentRevision-1, plugintest.Says("Applied", "False", "Failed", "disk full")), p, standing.Failing, "disk full"},
		{"it was marked as silent", plugintest.NodeAt("n", plugintest.CurrentRevision-1, plugintest.Says("Applied", "Unknown", "AgentSilent", "its agent has not followed")), p, standing.Silent, "its agent has not followed"},
		{"an older one", plugintest.NodeAt("n", plugintest.CurrentRevision-1), p, standing.Behind, ""},
		{"an older one, not all of it", plugintest.NodeAt("n", plugintest.CurrentRevision-1, plugintest.Says("Applied", "False", "NotInForce", "x")), p, standing.Behind, ""},
		{"an older one, before what may be a mistake", plugintest.NodeAt("n", plugintest.CurrentRevision-1), provisional, standing.Behind, "may prove a mistake"},
		{"a later one", plugintest.NodeAt("n", plugintest.CurrentRevision+1), p, standing.Ahead, "publishes again above it"},
		{"another content", plugintest.NodeAt("n", plugintest.CurrentRevision, func(n *mirrorsetv1alpha1.MirrorNode) { n.Status.Digest = "sha256:1" }), p, standing.Behind, "other content"},
		{"not all", plugintest.NodeAt("n", plugintest.CurrentRevision, plugintest.Says("Applied", "False", "NotInForce", "quay.io is foreign")), p, standing.Failing, "quay.io is foreign"},
		{"a doubt about the runtime", plugintest.NodeAt("n", plugintest.CurrentRevision, plugintest.Says("RuntimeReady", "Unknown", "NotReady", "unseen")), p, standing.InForce, "unseen"},
		{"nothing is published, and something in force", plugintest.NodeAt("n", 5), nil, standing.InForce, ""},
		{"nothing is published, and nothing in force", plugintest.NodeAt("n", 0, plugintest.Says("Applied", "False", "NotInForce", "nothing was published")), nil, standing.Failing, "nothing was published"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			where, why := standing.Of(&tt.node.Status, tt.p)
			if where != tt.where || !strings.Contains(why, tt.why) || (why == "") != (tt.why == "") {
				t.Errorf("%s, %q; want %s, %q", where, why, tt.where, tt.why)
			}
		})
	}
}

func TestTheSummaryCounts(t *testing.T) {
	for want, f := range map[string]cluster.Fleet{
		"There is no node with an agent.":                                cluster.Survey(nil, &plugintest.Current),
		"1 node has revision 1795573438818 in force.":                    cluster.Survey(plugintest.NodeList(plugintest.NodeAt("a", plugintest.CurrentRevision)).Items, &plugintest.Current),
		"0 of 1 node has revision 1795573438818 in force; 1 behind.":     cluster.Survey(plugintest.NodeList(plugintest.NodeAt("a", 1)).Items, &plugintest.Current),
		"2 nodes have revision 1795573438818 in force.":                  cluster.Survey(plugintest.NodeList(plugintest.NodeAt("a", plugintest.CurrentRevision), plugintest.NodeAt("b", plugintest.CurrentRevision)).Items, &plugintest.Current),
		"Nothing is published that nodes could have in force; 1 silent.": cluster.Survey(plugintest.NodeList(plugintest.NodeAt("a", 0, plugintest.SaysNothing)).Items, nil),
	} {
		if got := f.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
