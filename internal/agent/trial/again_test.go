// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package trial_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
)

func TestNothingTriedIsNothingPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(nil)
		defer n.Close()
		n.running, n.unseen = nil, true
		n.try(t, 1, nil, "!s.com")
		n.want(t, "a node whose containers cannot be seen", "1 Failed 0/0")
		if m := n.Report().Message; m != "nothing can be seen" {
			t.Errorf("it says %q", m)
		}
		n.becomes(func() {
			n.running, n.unseen, n.hangs = []string{"s.com/x" + digest, "s.com/y" + digest}, false, time.Hour
		})
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		time.Sleep(time.Minute)
		n.want(t, "where no registry answers", "1 Failed 0/0", "mirror.local:5000", "mirror.local:5000")
		if m := n.Report().Message; m != "nothing was tried: the change affects 2 images that run here, but no registry answered in time" {
			t.Errorf("it says %q", m)
		}
		if r := n.Report(); *r.NotAsked != 2 {
			t.Errorf("got %+v", r)
		}
		n.becomes(func() { n.hangs = 0 })
		n.has("mirror.local:5000")
		time.Sleep(6 * time.Minute)
		n.want(t, "once they do", "1 Passed 0/2", "mirror.local:5000", "mirror.local:5000")
	})
}

func TestWhatRunsNoMoreIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(nil)
		defer n.Close()
		n.running = []string{"s.com/x" + digest, "s.com/y" + digest}
		n.try(t, 1, nil, "!s.com")
		n.want(t, "at first", "1 Failed 2/2", "mirror.local:5000", "mirror.local:5000")
		n.becomes(func() { n.running = n.running[:1] })
		time.Sleep(3 * time.Minute)
		n.want(t, "one is gone", "1 Failed 1/1", "mirror.local:5000")
		n.becomes(func() { n.unseen, n.running = true, nil })
		time.Sleep(6 * time.Minute)
		n.want(t, "for a moment, nothing is seen", "1 Failed 1/1")
		n.becomes(func() { n.unseen = false })
		time.Sleep(12 * time.Minute)
		n.want(t, "the other one is gone, too", "1 Passed 0/0")
	})
}

func TestANodeAsksForWhatIsLostLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(nil)
		defer n.Close()
		n.try(t, 1, nil, "!s.com")
		n.want(t, "at first", "1 Failed 1/1", "mirror.local:5000")
		for _, minutes := range []time.Duration{3, 6, 12, 24, 48, 60, 60} {
			time.Sleep(minutes*time.Minute - time.Second)
			n.want(t, "before its time", "1 Failed 1/1")
			time.Sleep(time.Second)
			n.want(t, "by its time", "1 Failed 1/1", "mirror.local:5000")
		}
		if n.changed != 1 {
			t.Errorf("it has told %d times of the same", n.changed)
		}
	})
}

// TestATrialKnowsWhatItIsComparedWith has pulls compared with those by the rules of the fleet, for as long as canaries try others (C10).
func TestATrialKnowsWhatItIsComparedWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(sinktest.Accepted(t, 0, "own.com"))
		defer n.Close()
		for _, isTried := range []bool{true, false} {
			if isTried {
				n.try(t, 1, []string{"t.com"}, "!s.com")
			} else {
				n.take(t, 2, "!s.com")
			}
			n.Report()
			if c := n.change; c.Before != sinktest.Accepted(t, 0, "t.com").Digest || c.After != sinktest.Accepted(t, 1, "!s.com").Digest || c.IsTried != isTried {
				t.Errorf("got %+v", c)
			}
		}
		n.take(t, 3, "u.com")
		n.Report()
		if c := n.change; c.Before != sinktest.Accepted(t, 1, "!s.com").Digest || c.IsTried {
			t.Errorf("a node that is no canary: got %+v", c)
		}
		synctest.Wait()
	})
}
