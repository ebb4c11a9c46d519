// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package prometheus_test

import "time"

// hours are what two counters of a fleet have had for fourteen hours: the requests that a mirror served, and those that went to a source.
func hours(served, sent string, more ...string) []string {
	return append(more,
		`manager: up 1x1700`, `node-1: up 1x1700`,
		`node-1: mirrorset_mirror_requests_total{mirror="m.com",outcome="served"} `+served,
		`node-1: mirrorset_source_requests_total{source="s.com",outcome="sent"} `+sent,
		`node-1: mirrorset_source_requests_total{source="s.com",outcome="refused"} 0+1x1700`,
	)
}

// scenesOfSources are about what becomes of pulls thirteen hours in.
func scenesOfSources() []scene {
	const late = 13*time.Hour + 30*time.Minute
	contacted := []string{"MirrorsetRefusals s.com", "MirrorsetSourceContacted s.com"}
	const old, fresh = `node-1: mirrorset_agent_revision 1000x1700`, `node-1: mirrorset_agent_revision 1000x1560 46800000x140` // milliseconds
	refusals := []string{"MirrorsetRefusals s.com"}                                                                            // which go on all the time, so that none of these alerts counts them
	return []scene{
		{"mirrors served all, and serve nothing", hours("0+10x1560 15600x140", "0x1560 0+10x140"), late, contacted},
		{"it has just begun", hours("0+10x1560 15600x140", "0x1560 0+10x140"), 13*time.Hour + 10*time.Minute, refusals},
		{"mirrors served most, and serve half", hours("0+10x1560 15600+5x140", "0+1x1560 1560+5x140"), late + 20*time.Minute, contacted},
		{"it is over", hours("0+10x1560 15600x60 15600+10x80", "0x1560 0+10x60 600x80"), 14 * time.Hour, refusals},
		{"mirrors serve what they always did", hours("0+10x1700", "0+3x1700"), 14 * time.Hour, refusals},
		{"a busy morning follows a quiet night", hours("0+1x1560 1560+40x140", "0+1x1560 1560+40x140"), 14 * time.Hour, refusals},
		{"a busy morning follows a night without a pull", hours("0+10x240 2400x1320 2400+40x140", "0+2x240 480x1320 480+8x140"), 14 * time.Hour, refusals},
		{"a few requests go to the source", hours("0+10x1560 15600x140", "0x1563 1x4 2x4 3x4 4x4 5x4 6x4 7x4 8x4 9x4 10x4 11x4 12x4 13x4 14x4 15x4 16x4 17x4"), 14 * time.Hour, refusals},
		{"a rollout of an image that no mirror has is over", hours("0+10x1700", "0x1560 0+100x5 600x140"), 14 * time.Hour, refusals},
		{"nothing was pulled before", hours("0x1700", "0x1560 0+10x140"), 14 * time.Hour, refusals},
		{"a source is contacted for the first time", hours("0+10x1560 15600x140", "_x1560 1+10x140", old), late, contacted},
		{"a source is new", hours("0+10x1700", "_x1560 1+10x140", fresh), 14 * time.Hour, refusals},
		{"a source is seldom contacted", hours("0+10x1700", "_x1000 1+10x100 _x460 1+10x140", old), late + 10*time.Minute, contacted},
		{"Prometheus is new", hours("_x1560 0+10x140", "_x1560 0+10x140"), 14 * time.Hour, refusals},
		{"agents are restarted", hours("0+10x1560 0+10x140", "0+3x1560 0+3x140"), 14 * time.Hour, refusals},
		{"Prometheus was away", hours("0+10x1500 _x60 15600+10x140", "0+1x1500 _x60 1560+1x140"), 14 * time.Hour, refusals},
	}
}
