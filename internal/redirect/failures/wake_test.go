// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSomebodyIsWokenWhenAChangeLooksWorse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var woken atomic.Int32
		m := New(func() { woken.Add(1) })
		rules := "old"
		note := func(f Failure) {
			f.At, f.Rules = time.Now(), rules
			m.Note(f)
		}
		want := func(when string, n int32) {
			t.Helper()
			if synctest.Wait(); woken.Load() != n {
				t.Errorf("%s: woken %d times, want %d", when, woken.Load(), n)
			}
		}
		note(refused("old"))
		want("while nobody asks", 0)
		time.Sleep(10 * time.Second)
		changed := time.Now()
		rules = "new"
		m.Compare(changeAt(changed))
		time.Sleep(20 * time.Second)
		note(refused("old"))
		want("what failed before", 0)
		note(refused("1"))
		want("one more", 1)
		note(refused("1"))
		want("the same", 1)
		for i := range 100 {
			note(refused(fmt.Sprint("more", i)))
			time.Sleep(5 * time.Millisecond)
		}
		want("within the second", 1)
		time.Sleep(time.Second)
		want("after it", 2)
		if got := m.Compare(changeAt(changed)); got.More != 101 {
			t.Errorf("got %+v", got)
		}
		time.Sleep(span)
		rules = "old"
		note(refused("old1"))
		time.Sleep(time.Second)
		rules, changed = "new", time.Now()
		m.Compare(changeAt(changed))
		time.Sleep(20 * time.Second)
		note(refused("new, and old1 stands for it"))
		want("one for another", 2)
		note(refused("old1"))
		want("the other one as well", 3)
		time.Sleep(span)
		note(refused("late"))
		want("once it is over", 3)
	})
}

func TestManyNoteAtOnce(t *testing.T) {
	changed := time.Now()
	var m *Memory
	m = New(func() { m.Compare(changeAt(changed)) })
	var noting sync.WaitGroup
	for i := range 8 {
		noting.Go(func() {
			for j := range 200 {
				f := passed(fmt.Sprint("x", j), fmt.Sprint("m", i))
				f.At, f.Rules = time.Now(), "new"
				m.Note(f)
				m.Compare(changeAt(changed))
			}
		})
	}
	noting.Wait()
	if got := m.Compare(changeAt(changed)); got.PassedOver.After != 1600 || got.More != 1600 {
		t.Errorf("got %+v", got)
	}
}
