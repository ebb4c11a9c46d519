// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// trying is a node whose memory is asked about changes as they come.
type trying struct {
	*Memory
	change Change
}

func (n *trying) take(before, after string) {
	n.change = Change{Touched: everything, Before: before, After: after, At: time.Now(), IsTried: true}
	n.Compare(n.change)
}

func (n *trying) refuse(images int) {
	for i := range images {
		f := refused(fmt.Sprint(i))
		f.At, f.Rules = time.Now(), n.change.After
		n.Note(f)
	}
}

func (n *trying) wait(long time.Duration) {
	time.Sleep(long)
	synctest.Wait()
}

func TestAnotherTryOfABadChangeFailsAsTheFirstDid(t *testing.T) {
	for name, second := range map[string]string{"the same rules": "bad", "another typo": "worse"} {
		synctest.Test(t, func(t *testing.T) {
			n := trying{Memory: New(func() {})}
			n.wait(time.Hour)
			n.take("good", "bad")
			n.refuse(3)
			n.wait(time.Second)
			if got := n.Compare(n.change); got.Refused != (Count{0, 3}) || got.More != 3 {
				t.Errorf("%s: the first: got %+v", name, got)
			}
			n.take("bad", "good") // it is halted
			n.refuse(1)
			n.wait(4 * time.Minute)
			n.take("good", second)
			n.refuse(3)
			n.wait(time.Second)
			if got := n.Compare(n.change); got.Refused != (Count{1, 3}) || got.More != 2 {
				t.Errorf("%s: the second: got %+v", name, got)
			}
			n.take(second, "third") // as where the canary compares with what the fleet has
			n.change.Before = "good"
			n.refuse(3)
			n.wait(3 * wakes)
			if got := n.Compare(n.change); got.More != 2 {
				t.Errorf("%s: the third: got %+v", name, got)
			}
		})
	}
}

func TestWhatFailsLateCountsWhileAChangeIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := trying{Memory: New(func() {})}
		n.wait(time.Hour)
		n.change.After = "good"
		n.refuse(1)
		n.wait(9 * time.Minute)
		n.take("good", "bad")
		n.wait(50 * time.Minute)
		n.refuse(3)
		n.wait(3 * wakes)
		if got := n.Compare(n.change); got.Refused != (Count{1, 3}) || got.More != 2 {
			t.Errorf("while it is tried: got %+v", got)
		}
		n.take("bad", "next")
		n.change.IsTried = false
		n.Compare(n.change)
		n.wait(span)
		n.refuse(3)
		n.wait(3 * wakes)
		if got := n.Compare(n.change); got.More != 0 {
			t.Errorf("once all have it: got %+v", got)
		}
	})
}
