// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package prometheus_test

import "time"

// down is an agent that goes with what Prometheus had from it.
func down(node, after, dependent string) []string {
	return []string{
		node + `: up ` + after + ` 0x800`, node + `: mirrorset_agent_redirector_up ` + after + ` stale`,
		node + `: mirrorset_agent_redirector_dependent_registries ` + dependent + after[1:] + ` stale`,
	}
}

func scenesOfAgents() []scene {
	dependent := `node-2: mirrorset_agent_redirector_dependent_registries 2x120`
	return []scene{
		{"an agent does not answer", quiet(down("node-2", "1x9", "0")...), 14 * time.Minute, nil},
		{"an agent does not answer for ten minutes", quiet(down("node-2", "1x9", "0")...), 16 * time.Minute, []string{"MirrorsetAgentDown node-2"}},
		{"an agent does not answer on which pulls depend", quiet(down("node-2", "1x9", "2")...), 14 * time.Minute, nil},
		{"it does not for ten minutes", quiet(down("node-2", "1x9", "2")...), 16 * time.Minute, []string{"critical MirrorsetAgentDown node-2"}},
		{"it does not for hours", down("node-2", "1x9", "2"), 6 * time.Hour, []string{"MirrorsetManagerDown", "critical MirrorsetAgentDown node-2"}},
		{"an agent is away on which no pull depends, and others are there on which pulls do", quiet(append(down("node-2", "1x9", "0"), `node-1: mirrorset_agent_redirector_dependent_registries 2x120`)...), 16 * time.Minute, []string{"MirrorsetAgentDown node-2"}},
		{"the sources of a node that went down were opened before", quiet(append(down("node-2", "1x9", "0"), `node-2: mirrorset_agent_redirector_dependent_registries 2x5 0x3 stale`)...), 16 * time.Minute, []string{"MirrorsetAgentDown node-2"}},
		{"an agent is replaced", quiet(`node-2: up 1x9 0x2 1x108`, dependent), 20 * time.Minute, nil},
		{"an agent comes back", quiet(`node-2: up 1x9 0x25 1x85`, `node-2: mirrorset_agent_redirector_dependent_registries 2x9 _x25 2x85`), 30 * time.Minute, []string{}},
		{"a node goes for good", quiet(`node-2: up 1x9 0x15 stale`, `node-2: mirrorset_agent_redirector_dependent_registries 2x9 stale`, `manager: mirrorset_nodes{state="in_force"} 2x20 1x100`), time.Hour, nil},
		{"a node has no agent", quiet(`node-2: up -`), 12 * time.Minute, []string{"MirrorsetAgentDown"}},
		{"a node has no agent, and others have sources that are blocked", quiet(`node-2: up -`, `node-1: mirrorset_agent_redirector_dependent_registries 2x120`), 12 * time.Minute, []string{"critical MirrorsetAgentDown"}},
		{"a node has no agent, and the one that had blocked sources is gone", quiet(`node-2: up 1x9 0x15 stale`, `node-2: mirrorset_agent_redirector_dependent_registries 2x9 stale`), 50 * time.Minute, []string{"MirrorsetAgentDown"}},
		{"no node has an agent", quiet(`node-1: up -`, `node-2: up -`), 12 * time.Minute, []string{"MirrorsetAgentDown"}},
		{"no node has an agent any more", []string{
			`manager: up 1x800`, `manager: mirrorset_nodes{state="in_force"} 1x800`, `node-1: up 1x20 stale`, `node-1: mirrorset_agent_redirector_dependent_registries 2x20 stale`,
		}, 6 * time.Hour, []string{"critical MirrorsetAgentDown"}},
		{"two agents of one node are targets", append(quiet(`node-2: up -`, dependent), `node-2: up{pod="a"} 0x120`, `node-2: up{pod="b"} 1x120`), 20 * time.Minute, nil},

		{"a redirector does not serve, and nothing depends on it", quiet(`node-2: mirrorset_agent_redirector_up 1x9 0x110`), time.Hour, nil},
		{"a redirector does not serve for a moment", quiet(dependent, `node-2: mirrorset_agent_redirector_up 1x9 0x8 1x100`), time.Hour, nil},
		{"a redirector does not serve", quiet(dependent, `node-2: mirrorset_agent_redirector_up 1x9 0x110`), 10 * time.Minute, []string{"critical MirrorsetNodeFailing node-2"}},
	}
}
