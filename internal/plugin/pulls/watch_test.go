// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package pulls

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

func TestAPullIsPrintedOnceItHasSettledAndAgainWhenItGoesOn(t *testing.T) {
	p := &patience{waiting: make(map[key]*waiting), printed: make(map[key]accesslog.Pull)}
	now := since
	hear := func(node string, began time.Time, pull accesslog.Pull) {
		p.take(heard{node: node, since: began, pull: pull}, now)
	}
	want := func(after time.Duration, want string) {
		t.Helper()
		now = now.Add(after)
		var got []string
		for _, pull := range p.due(now) {
			got = append(got, fmt.Sprintf("%s:%d/%d", pull.node, pull.ID, len(pull.Tries)))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("after %s: %q, want %q", now.Sub(since), got, want)
		}
	}
	try := accesslog.Tries{Place: "m", Outcome: accesslog.Served}
	hear("a", since, at(2, "x"))
	hear("b", since, at(1, "y"))
	want(settle-1, "")
	hear("a", since, at(2, "x", try))
	want(1, "b:1/0")
	want(settle-1, "a:2/1")
	want(time.Hour, "")
	hear("a", since, at(2, "x", try)) // as an agent does that is asked again
	want(time.Hour, "")
	hear("a", since, at(2, "x", try, try))
	hear("a", since.Add(time.Hour), at(3, "x")) // of an agent that was started again
	want(settle, "a:2/2 a:3/0")
	for i := range 6 {
		hear("c", since, at(1, "z", make([]accesslog.Tries, i)...))
		want(settle-1, map[bool]string{true: "c:1/5"}[i == 5])
	}
	for i := range 3 * kept {
		hear("d", since, at(i+1, "z"))
		want(settle, fmt.Sprintf("d:%d/0", i+1))
	}
	if len(p.printed) > kept+3 || len(p.waiting) > 0 {
		t.Errorf("%d pulls are remembered, and %d wait", len(p.printed), len(p.waiting))
	}
}

func TestAWatchGoesOnWithTheSuccessorOfAnAgentUntilThereIsNone(t *testing.T) {
	f := newFixture(t, map[string]string{"node-1": ""})
	var asked atomic.Int32
	f.objects[plugintest.ExecPath("agent-of-node-1")] = plugintest.Exec(t, func(ctx context.Context, command []string, stdout, stderr io.Writer) int {
		switch asked.Add(1) {
		case 1:
			fmt.Fprint(stdout, printed(t, seen[:1]...))
			select { // until that is printed, but not for a client that is gone
			case <-ctx.Done():
			case <-time.After(2 * settle):
			}
			return 0
		case 2:
			fmt.Fprint(stdout, printed(t, seen[0], seen[1]))
			return 0
		}
		fmt.Fprint(stdout, printed(t, seen[2])) // which has not settled, and is printed at the end
		fmt.Fprintln(stderr, "the agent does not see the pulls of this node: the kubelet uses CRI-O")
		return 3
	})
	r := f.run(t, "node-1", "--watch")
	lines := strings.Split(strings.TrimSpace(r.Stdout), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "TIME ") || !strings.Contains(lines[1], "quay.io/shop/web:v1") || !strings.Contains(lines[2], "quay.io/shop/api:v1") || !strings.Contains(lines[3], "quay.io/other/x:v1") {
		t.Errorf("%s", r.Stdout)
	}
	const again = "note: node node-1: its agent has stopped; trying again\n"
	if want := again + again + "error: node node-1: its pulls cannot be seen: the agent does not see the pulls of this node: the kubelet uses CRI-O\n"; r.Code != 1 || r.Stderr != want {
		t.Errorf("exit code %d, stderr %q", r.Code, r.Stderr)
	}
}

func TestAWatchOfNodesWithoutPullsToSeeEnds(t *testing.T) {
	f := newFixture(t, map[string]string{"node-1": "older", "node-2": "CRI-O"})
	r := f.run(t, "--watch")
	if r.Code != 1 || r.Stdout != "" || !strings.Contains(r.Stderr, "warning: node node-1: its agent is older") || !strings.Contains(r.Stderr, "note: node node-2: its pulls cannot be seen") {
		t.Errorf("exit code %d, stdout %q, stderr %q", r.Code, r.Stdout, r.Stderr)
	}
}
