// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package finds

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorset/mirrorset/internal/route"
)

func TestAFindIsKeptForAsLongAsAPullMayTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		a, b := route.Target{Host: "a.com"}, route.Target{Host: "b.com"}
		want := func(when string, mirrors ...route.Target) {
			t.Helper()
			if got := m.Of("s.com/x"); !slices.Equal(got, mirrors) {
				t.Errorf("%s: %v, want %v", when, got, mirrors)
			}
		}
		m.Note("s.com/x", a)
		time.Sleep(23 * time.Hour)
		want("while a large layer may still be on its way", a)
		time.Sleep(23 * time.Hour)
		want("as long after it was asked for", a)
		time.Sleep(23 * time.Hour)
		m.Note("s.com/x", b)
		m.Note("s.com/x", a)
		want("after another find", a, b)
		time.Sleep(25 * time.Hour)
		m.Note("s.com/x", b)
		want("once the first find is over", b)
		time.Sleep(25 * time.Hour)
		want("after all pulls")
	})
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	m := New()
	for i := range most {
		m.Note(fmt.Sprint(i), route.Target{Host: "m.com"})
	}
	m.Of("0") // which is now the one that was asked for last
	m.Note(fmt.Sprint(most), route.Target{Host: "m.com"})
	if n := len(m.byRepository); n != most || m.Of("0") == nil || m.Of("1") != nil || m.Of(fmt.Sprint(most)) == nil {
		t.Errorf("%d are remembered: the first %v, the second %v, the last %v", n, m.Of("0"), m.Of("1"), m.Of(fmt.Sprint(most)))
	}
}
