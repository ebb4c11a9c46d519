// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package prometheus_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/rules"
)

// tries is what a node made of a mirror.
func tries(node, outcome, values string) string {
	return node + `: mirrorset_mirror_requests_total{mirror="m.com",outcome="` + outcome + `"} ` + values
}

// refusals are those of a node.
func refusals(node, values string) string {
	return node + `: mirrorset_source_requests_total{source="shut.com",outcome="refused"} ` + values
}

const (
	// noMore is a counter that stood still five minutes in.
	noMore = "0+5x9 50x110"
	// fromThen is one that began then, as a kubelet tries pulls again and again.
	fromThen = "0x9 0+1x110"
	// seldom is one that counts every four minutes from then on.
	seldom = "0x9 1x7 2x7 3x7 4x7 5x7 6x7 7x7 8x7 9x7"
)

func scenesOfPulls() []scene {
	everywhere := func(outcome string, more ...string) []string {
		return quiet(append([]string{
			tries("node-1", "served", noMore), tries("node-2", "served", noMore), tries("node-2", "missing", "0x120"), tries("node-1", outcome, fromThen), tries("node-2", outcome, fromThen),
		}, more...)...)
	}
	return []scene{
		{"a pull is refused once", quiet(refusals("node-2", "0x9 2x110")), 15 * time.Minute, nil},
		{"it is long ago", quiet(refusals("node-2", "0x9 2x110")), 50 * time.Minute, nil},
		{"a pull is refused again and again, as kubelet tries it", quiet(refusals("node-2", "0x9 1x9 2x9 3x9 4x9 5x9 6x9 7x9")), 25 * time.Minute, []string{"MirrorsetRefusals shut.com"}},
		{"two nodes are refused in turns", quiet(refusals("node-1", "7x9 8x29 9x29"), refusals("node-2", "0x24 1x29 2x29")), 25 * time.Minute, []string{"MirrorsetRefusals shut.com"}},

		{"a mirror is silent", everywhere("silent"), 24 * time.Minute, nil},
		{"a mirror is silent for a while", everywhere("silent"), 27 * time.Minute, []string{"MirrorsetMirrorDown m.com"}},
		{"a mirror refuses", everywhere("credentials"), 27 * time.Minute, []string{"MirrorsetMirrorDown m.com"}},
		{"a mirror fails", everywhere("error"), 27 * time.Minute, []string{"MirrorsetMirrorDown m.com"}},
		{"a mirror has other content", everywhere("wrong_content"), 27 * time.Minute, []string{"MirrorsetMirrorDown m.com"}},
		{"a mirror is silent, and pulls are refused", everywhere("silent", refusals("node-2", fromThen)), 19 * time.Minute, nil},
		{"they are refused for a while", everywhere("silent", refusals("node-2", fromThen)), 23 * time.Minute, []string{"MirrorsetRefusals shut.com", "critical MirrorsetMirrorDown m.com"}},
		{"pulls are refused where another mirror has the blame", quiet(tries("node-1", "served", noMore), tries("node-1", "silent", fromThen), tries("node-2", "served", "50x120"), tries("node-2", "missing", "0x120"), refusals("node-2", fromThen)), 27 * time.Minute,
			[]string{"MirrorsetMirrorDown m.com", "MirrorsetRefusals shut.com"}},
		{"a mirror is silent, and one Pod tries again and again", everywhere("silent", tries("node-1", "silent", "7x120"), tries("node-2", "silent", seldom), refusals("node-2", seldom)), 26 * time.Minute, []string{"MirrorsetRefusals shut.com", "critical MirrorsetMirrorDown m.com"}},
		{"a mirror is back", everywhere("silent", tries("node-1", "served", "0+5x9 50x14 50+5x95")), time.Hour, []string{"MirrorsetMirrorDownForSomeNodes m.com"}},
		{"all of it is back", everywhere("silent", tries("node-1", "served", "0+5x9 50x24 50+5x85"), tries("node-2", "served", "0+5x9 50x24 50+5x85")), time.Hour, []string{}},

		{"a mirror is silent for one node", quiet(tries("node-2", "served", noMore), tries("node-2", "missing", "0x120"), tries("node-2", "silent", fromThen)), 24 * time.Minute, nil},
		{"it is so for a while", quiet(tries("node-2", "served", noMore), tries("node-2", "missing", "0x120"), tries("node-2", "silent", fromThen)), 27 * time.Minute, []string{"MirrorsetMirrorDownForSomeNodes m.com"}},
		{"pulls are refused there, too", quiet(tries("node-2", "served", noMore), tries("node-2", "missing", "0x120"), tries("node-2", "silent", fromThen), refusals("node-2", fromThen)), 27 * time.Minute,
			[]string{"MirrorsetMirrorDownForSomeNodes m.com", "MirrorsetRefusals shut.com"}},
		{"a mirror is silent for the one node that tries it", quiet(tries("node-1", "served", "50x120"), tries("node-2", "served", noMore), tries("node-2", "missing", "0x120"), tries("node-2", "silent", fromThen)), 27 * time.Minute, []string{"MirrorsetMirrorDown m.com"}},

		{"nothing is pulled", quiet(tries("node-1", "served", "50x120"), tries("node-2", "served", "50x120"), tries("node-2", "missing", "9x120"), tries("node-2", "silent", "9x120")), time.Hour, nil},
		{"the last that was tried before a quiet night failed", quiet(tries("node-1", "served", noMore), tries("node-2", "served", noMore), tries("node-2", "missing", "0x120"), tries("node-1", "silent", "0x9 1 3 5x100"), tries("node-2", "silent", "0x9 1 3 5x100")), time.Hour, nil},
		{"a mirror does not have what is asked for", everywhere("missing"), time.Hour, nil},
		{"it does not have that, and fails for other images", everywhere("missing", tries("node-1", "error", fromThen), tries("node-2", "error", fromThen)), time.Hour, nil},
		{"containerd is sent to a mirror, and does not come back", everywhere("sent"), time.Hour, nil},
		{"it does come back for some", everywhere("sent", tries("node-1", "came_back", fromThen), tries("node-2", "came_back", fromThen)), time.Hour, nil},
		{"it does come back each time, as for a tag that nobody has", everywhere("came_back", refusals("node-2", "0x9 1x9 2x9 3x9 4x9 5x9 6x9 7x9")), 27 * time.Minute, []string{"MirrorsetRefusals shut.com"}},
		{"it does come back between failures", everywhere("came_back", tries("node-1", "silent", fromThen), tries("node-2", "silent", fromThen)), 27 * time.Minute, []string{"MirrorsetMirrorDown m.com"}},
		{"a mirror refuses some, and is sent to for others", everywhere("sent", tries("node-1", "credentials", fromThen), tries("node-2", "credentials", fromThen)), time.Hour, nil},
		{"agents are restarted after failures", quiet(tries("node-1", "silent", "70x9 0x110"), tries("node-2", "silent", "90x9 0x110"), tries("node-1", "served", "50x9 0x110"), tries("node-2", "served", "50x9 0x110"), tries("node-2", "missing", "0x120"), refusals("node-2", "30x9 0x110")), time.Hour, nil},
		{"agents are restarted while a mirror is silent", everywhere("silent", tries("node-1", "silent", "0x9 0+1x15 0+1x90"), tries("node-2", "silent", "0x9 0+1x15 0+1x90")), 27 * time.Minute, []string{"MirrorsetMirrorDown m.com"}},
	}
}

// TestAnAlertNamesTheNodes is about the queries in annotations.
func TestAnAlertNamesTheNodes(t *testing.T) {
	series := quiet(tries("node-1", "served", noMore), tries("node-2", "served", noMore), tries("node-2", "missing", "0x120"), tries("node-2", "silent", fromThen), refusals("node-2", fromThen))
	var told []string
	scene{"", series, 27 * time.Minute, nil}.run(t, step, func(_ time.Time, r *rules.AlertingRule, a *rules.Alert) {
		told = append(told, r.Name()+" "+a.Annotations.Get("description"))
	})
	for _, want := range []string{"MirrorsetRefusals", "MirrorsetMirrorDown"} {
		if !slices.ContainsFunc(told, func(text string) bool {
			return strings.HasPrefix(text, want) && strings.Contains(text, ": node-2 (up to 5)") && !strings.Contains(text, "node-1")
		}) {
			t.Errorf("%s does not name node-2 alone: %q", want, told)
		}
	}
}
