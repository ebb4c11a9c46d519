// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"
	"testing"
)

// ofFleets is what a run prints that takes 20 requests and 2 for each agent, 4 writes and one for each, and 10 kB and 5 kB for each. That of
// 100 agents can be beside the line.
func ofFleets(requestsOf100 string) string {
	return "BenchmarkFleet/agents=10/way=mirrorset 1 40 requests/change 14 writes/change 60000 B/change\n" +
		"BenchmarkFleet/agents=100/way=mirrorset 1 " + requestsOf100 + " requests/change 104 writes/change 510000 B/change\n" +
		"BenchmarkFleet/agents=1000/way=mirrorset 1 2020 requests/change 1004 writes/change 5010000 B/change\n"
}

func TestTheModelIsALineThroughWhatWasMeasured(t *testing.T) {
	for _, c := range []struct{ name, lines, want string }{
		{"all on a line", ofFleets("220"), `| 10 | 50 | 40 | 14 | 60.0 kB | 9.28 MB (computed) |
| 100 | 500 | 220 | 104 | 510 kB | 92.7 MB (computed) |
| 1,000 | 5,000 | 2,020 | 1,004 | 5.01 MB | 927 MB (computed) |
| 10,000 | 50,000 | 20,020 (computed) | 10,004 (computed) | 50.0 MB (computed) | 9.27 GB (computed) |

The computed figures are on a straight line through the fleets of 10 and 1000 nodes:

- 20 requests, and 2 for each node; at 100 nodes, +0 % from the measured value.
- 4 writes, and 1 for each node; at 100 nodes, +0 % from the measured value.
- 10.0 kB, and 5.00 kB for each node; at 100 nodes, +0 % from the measured value.
`},
		{"one beside it", ofFleets("200"), "- 20 requests, and 2 for each node; at 100 nodes, +10 % from the measured value.\n"},
		{"a fleet without bytes", strings.ReplaceAll(ofFleets("220"), " 510000 B/change", ""), "not measured: its BenchmarkFleet/agents=100/way=mirrorset printed no B/change"},
		{"no fleet of 1,000", strings.ReplaceAll(ofFleets("220"), "agents=1000", "agents=500"), "not measured: its run printed no BenchmarkFleet/agents=1000/way=mirrorset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := scaling([]result{{row: row{name: "fleet"}, output: printed(t, "fleet", c.lines)}}); !strings.HasSuffix(got, c.want) && !strings.Contains(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
	if got := scaling([]result{{row: row{name: "fleet"}, missing: errors.New("its run was cut off")}}); got != "not measured: its run was cut off" {
		t.Errorf("got %q", got)
	}
}
