// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package prometheus_test

import "time"

// seldomStep is how often scenes of many hours have values and are evaluated.
const seldomStep = 2 * time.Minute

// hours are what two counters of a fleet have had for fourteen hours, one value each [seldomStep]: the requests that a mirror served, and those that went to a source.
func hours(served, sent string, more ...string) []string {
	return append(more,
		`manager: up 1x425`, `node-1: up 1x425`,
		`node-1: mirrorset_mirror_requests_total{mirror="m.com",outcome="served"} `+served,
		`node-1: mirrorset_source_requests_total{source="s.com",outcome="sent"} `+sent,
		`node-1: mirrorset_source_requests_total{source="s.com",outcome="refused"} 0+4x425`,
	)
}

// scenesOfSources are about what becomes of pulls thirteen hours in.
func scenesOfSources() []scene {
	const late = 13*time.Hour + 30*time.Minute
	contacted := []string{"MirrorsetRefusals s.com", "MirrorsetSourceContacted s.com"}
	const old, fresh = `node-1: mirrorset_agent_revision 1000x425`, `node-1: mirrorset_agent_revision 1000x390 46800000x35` // milliseconds
	refusals := []string{"MirrorsetRefusals s.com"}                                                                         // which go on all the time, so that none of these alerts counts them
	return []scene{
		{"mirrors served all, and serve nothing", hours("0+40x390 15600x35", "0x390 0+40x35"), late, contacted},
		{"it has just begun", hours("0+40x390 15600x35", "0x390 0+40x35"), 13*time.Hour + 10*time.Minute, refusals},
		{"mirrors served most, and serve half", hours("0+40x390 15600+20x35", "0+4x390 1560+20x35"), late + 20*time.Minute, contacted},
		{"it is over", hours("0+40x390 15600x15 15600+40x20", "0x390 0+40x15 600x20"), 14 * time.Hour, refusals},
		{"mirrors serve what they always did", hours("0+40x425", "0+12x425"), 14 * time.Hour, refusals},
		{"a busy morning follows a quiet night", hours("0+4x390 1560+160x35", "0+4x390 1560+160x35"), 14 * time.Hour, refusals},
		{"a busy morning follows a night without a pull", hours("0+40x60 2400x330 2400+160x35", "0+8x60 480x330 480+32x35"), 14 * time.Hour, refusals},
		{"a few requests go to the source", hours("0+40x390 15600x35", "0x391 0+1x34"), 14 * time.Hour, refusals},
		{"a rollout of an image that no mirror has is over", hours("0+40x425", "0x390 0+250x2 500x33"), 14 * time.Hour, refusals},
		{"nothing was pulled before", hours("0x425", "0x390 0+40x35"), 14 * time.Hour, refusals},
		{"next to nothing was pulled before", hours("0x100 0+1x20 20x305", "0x390 0+40x35"), 14 * time.Hour, refusals},
		{"a source is contacted for the first time", hours("0+40x390 15600x35", "_x390 1+40x35", old), late, contacted},
		{"a source is new", hours("0+40x425", "_x390 1+40x35", fresh), 14 * time.Hour, refusals},
		{"a source is seldom contacted", hours("0+40x425", "_x250 1+40x25 _x115 1+40x35", old), 14 * time.Hour, contacted},
		{"Prometheus is new", hours("_x390 0+40x35", "_x390 0+40x35"), 14 * time.Hour, refusals},
		{"agents are restarted", hours("0+40x390 0+40x35", "0+12x390 0+12x35"), 14 * time.Hour, refusals},
		{"Prometheus was away", hours("0+40x375 _x15 15600+40x35", "0+4x375 _x15 1560+4x35"), 14 * time.Hour, refusals},
	}
}
