// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package trial_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/agent/trial"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

const digest = "@sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706"

// then is when a node took its rules.
var then = time.Unix(1, 0)

// node is one that runs an image of s.com, and asks nobody but the test.
type node struct {
	*trial.Trials
	delay  time.Duration
	failed sink.FailedPulls // of s.com
	change sink.Change      // that was asked about last

	mu      sync.Mutex
	asked   []string
	found   map[string]route.Found // by registry; none is that it lacks it
	running []string
	unseen  bool          // there is no container
	hangs   time.Duration // before each answer
	changed int
}

func newNode(accepted *sink.Accepted) *node {
	n := &node{delay: 30 * time.Second, running: []string{"s.com/x" + digest}, found: map[string]route.Found{"s.com": route.Has}}
	n.Trials = trial.New(trial.Config{
		Ask: func(ctx context.Context, at route.Target, _ string, _ bool) route.Answer {
			n.mu.Lock()
			hangs := n.hangs
			n.mu.Unlock()
			if hangs > 0 {
				select {
				case <-ctx.Done():
				case <-time.After(hangs):
				}
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			n.asked = append(n.asked, at.Host)
			found, known := n.found[at.Host]
			if !known {
				found = route.Lacks
			}
			return route.Answer{Found: found, Why: "404 Not Found"}
		},
		Unseen: "nothing can be seen",
		Running: func() (images []mirrors.Reference, containers int) {
			n.mu.Lock()
			defer n.mu.Unlock()
			for _, image := range n.running {
				if ref, err := mirrors.ParseReference(image); err == nil {
					images = append(images, ref)
				}
			}
			return images, map[bool]int{false: 1}[n.unseen]
		},
		Delay: func() time.Duration { return n.delay },
		FailedPulls: func(change sink.Change) (failed sink.FailedPulls) {
			n.change = change
			if change.Touched("s.com", "x") && !change.Touched("other.com", "x") && change.At.Equal(then) {
				return n.failed
			}
			return failed
		},
		Changed: func() { n.mu.Lock(); defer n.mu.Unlock(); n.changed++ },
	}, accepted)
	return n
}

// becomes changes it while it may be looked at.
func (n *node) becomes(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

func (n *node) has(registry string) {
	n.becomes(func() { n.found[registry] = route.Has })
}

// take has a node that is no canary write rules; see [sinktest.Text].
func (n *node) take(t *testing.T, revision int64, sources ...string) {
	t.Helper()
	n.Follow(sinktest.Accepted(t, revision, sources...), then, true, func() *sink.Accepted { return nil })
}

// try has a canary write rules where the fleet has others.
func (n *node) try(t *testing.T, revision int64, fleet []string, sources ...string) {
	t.Helper()
	n.Follow(sinktest.Accepted(t, revision, sources...), then, true, func() *sink.Accepted { return sinktest.Accepted(t, 0, fleet...) })
}

// says returns what is reported, shortened.
func (n *node) says() string {
	r := n.Report()
	if r == nil {
		return "nothing"
	}
	text := fmt.Sprintf("%d %s", r.Revision-sinktest.First, r.State)
	if r.Images != nil {
		text += fmt.Sprintf(" %d/%d", *r.Unpullable, *r.Images)
	}
	return text
}

func (n *node) want(t *testing.T, step, want string, asked ...string) {
	t.Helper()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	if got := n.says(); got != want || !slices.Equal(n.asked, asked) {
		t.Errorf("%s: it says %q, want %q; asked %q, want %q", step, got, want, n.asked, asked)
	}
	n.asked = nil
}

func TestATrialOfANodeThatIsNoCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(sinktest.Accepted(t, 0, "t.com"))
		defer n.Close()
		n.take(t, 0, "t.com")
		n.want(t, "restored", "nothing")
		n.take(t, 1, "t.com", "u.com")
		n.want(t, "a change that touches no image", "nothing")
		if n.changed != 0 {
			t.Errorf("it has told %d times of nothing", n.changed)
		}
		n.take(t, 2, "t.com", "s.com")
		n.want(t, "a change that touches one, for which nobody waits", "nothing")
		time.Sleep(29 * time.Second)
		n.want(t, "before its time", "nothing")
		n.take(t, 3, "t.com", "s.com")
		n.want(t, "the same text under another revision", "nothing")
		time.Sleep(time.Second)
		n.want(t, "by its time", "3 Passed 0/1", "mirror.local:5000", "s.com")
		if n.changed != 1 {
			t.Errorf("it has told %d times", n.changed)
		}
		n.take(t, 4, "t.com", "s.com")
		n.want(t, "the same text once more", "4 Passed 0/1")
		time.Sleep(time.Hour)
		n.want(t, "later", "4 Passed 0/1")
		n.take(t, 5, "!s.com")
		n.want(t, "another change", "nothing")
		n.take(t, 6, "t.com")
		n.want(t, "one that comes before its time", "nothing")
		time.Sleep(30 * time.Second)
		n.want(t, "that one alone is tried", "6 Passed 0/1", "s.com")
	})
}

func TestATrialOfACanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(sinktest.Accepted(t, 1, "!s.com")) // as after a restart
		defer n.Close()
		n.try(t, 1, nil, "!s.com")
		n.want(t, "a canary asks at once, and by what the fleet has", "1 Failed 1/1", "mirror.local:5000")
		if m := n.Report().Message; m != "1 image that runs here could not be pulled again: s.com/x"+digest+" (mirror.local:5000/x/x: 404 Not Found; the source is blocked)" {
			t.Errorf("it says %q", m)
		}
		n.try(t, 1, nil, "!s.com")
		n.want(t, "a repair begins nothing", "1 Failed 1/1")
		time.Sleep(3 * time.Minute)
		n.want(t, "it asks again", "1 Failed 1/1", "mirror.local:5000")
		if n.changed != 1 {
			t.Errorf("it has told %d times of the same", n.changed)
		}
		n.has("mirror.local:5000")
		time.Sleep(3 * time.Minute)
		n.want(t, "less often", "1 Failed 1/1")
		time.Sleep(3 * time.Minute)
		n.want(t, "once the mirror has it", "1 Passed 0/1", "mirror.local:5000")
		time.Sleep(time.Hour)
		n.want(t, "no more", "1 Passed 0/1")
		n.take(t, 1, "!s.com")
		n.want(t, "all nodes have it", "1 Passed 0/1")
		n.try(t, 2, []string{"!s.com"}, "!s.com", "t.com")
		n.want(t, "a canary that runs nothing of it has passed", "2 Passed 0/0")
		if m := n.Report().Message; m != "nothing was tried: no container was found that runs an image which the change affects" {
			t.Errorf("it says %q", m)
		}
	})
}

func TestRulesThatAreNotWrittenAreNotTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(nil)
		defer n.Close()
		none := func() *sink.Accepted { return nil }
		n.Follow(nil, then, false, none)
		n.want(t, "nothing is accepted", "nothing")
		n.take(t, 0, "s.com")
		n.want(t, "the first rules", "nothing")
		n.try(t, 1, []string{"s.com"}, "!s.com")
		n.want(t, "a change", "1 Failed 1/1", "mirror.local:5000")
		n.Follow(sinktest.Accepted(t, 2, "t.com"), then, false, none)
		time.Sleep(time.Hour)
		n.want(t, "a change that is not written ends the trial before", "nothing")
		n.take(t, 2, "t.com")
		time.Sleep(time.Minute)
		n.want(t, "once it is", "2 Passed 0/1", "s.com")
	})
}

func TestALongMessageNamesSomeAndCountsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(nil)
		defer n.Close()
		n.running = nil
		for i := range 40 {
			n.running = append(n.running, fmt.Sprintf("s.com/%s/%02d%s", strings.Repeat("x", 150), i, digest))
		}
		n.try(t, 1, nil, "!s.com")
		synctest.Wait()
		r := n.Report()
		if r.State != mirrorsetv1alpha1.TrialFailed || !strings.HasPrefix(r.Message, "32 images that run here could not be pulled again: s.com/") || len(r.Message) > 4000 ||
			!strings.Contains(r.Message, ", and 2") || !strings.HasSuffix(r.Message, "; 8 images that the change affects were not checked, because a trial is limited in number and time") {
			t.Errorf("got %d bytes: %s", len(r.Message), r.Message)
		}
	})
}

func TestATrialFailsByPullsToo(t *testing.T) { // C10
	synctest.Test(t, func(t *testing.T) {
		n := newNode(nil)
		defer n.Close()
		n.try(t, 1, nil, "s.com")
		n.want(t, "at first", "1 Passed 0/1", "mirror.local:5000", "s.com")
		if failed := n.Report().FailedPulls; failed == nil || *failed != 0 {
			t.Errorf("failed pulls: %v", failed)
		}
		n.failed = sink.FailedPulls{More: 2, Last: []string{"s.com/a:1: refused", "s.com/b:1: refused"}}
		n.want(t, "once more pulls fail", "1 Failed 0/1")
		if r := n.Report(); *r.FailedPulls != 2 || r.Message != "of the pulls that the change affects, 2 more failed than in the same time before the change (at most ten minutes): s.com/a:1: refused, s.com/b:1: refused" {
			t.Errorf("got %+v", r)
		}
		n.running = nil
		n.take(t, 2, "s.com", "t.com")
		n.want(t, "pulls of what a change does not touch", "nothing")
		n.take(t, 3, "!s.com")
		n.want(t, "where nothing of it runs, and the node is no canary", "3 Failed")
		n.try(t, 4, nil, "!s.com", "t.com")
		if n.want(t, "on a canary", "4 Failed 0/0"); n.Report().Images == nil {
			t.Error("it says nothing of images")
		}
	})
}

func TestARegistryThatFailsForAMomentFailsNoChange(t *testing.T) {
	for name, c := range map[string]struct {
		mended bool
		want   string
	}{
		"it has the image then": {true, "1 Passed 0/1"},
		"it goes on to fail":    {false, "1 Failed 1/1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNode(sinktest.Accepted(t, 0, "t.com"))
			defer n.Close()
			n.found["mirror.local:5000"] = route.Fails
			n.try(t, 1, []string{"t.com"}, "!s.com")
			time.Sleep(3 * time.Second)
			n.want(t, name+": at first", "1 Running", "mirror.local:5000", "mirror.local:5000")
			if c.mended {
				n.has("mirror.local:5000")
			}
			time.Sleep(2 * time.Second)
			n.want(t, name, c.want, "mirror.local:5000")
		})
	}
}
