// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/plan"
)

func TestWhatIsNewIsSoByTheManagersOwnClock(t *testing.T) {
	made := func(kind *kinds.Kind, years int) kinds.Set { // by the API server's clock
		return kinds.Set{Kind: kind, Object: &configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.Date(2026+years, 1, 1, 0, 0, 0, 0, time.UTC)}}}
	}
	d := func(years ...int) (sets []kinds.Set) {
		for _, y := range years {
			sets = append(sets, made(kinds.Digest, y))
		}
		return sets
	}
	seen, start := make(sightings), time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for minute, c := range []struct {
		uid         string
		sets        []kinds.Set
		since, came int // minutes
	}{
		{"1", d(1, 2), 0, 0},
		{"1", d(1, 2), 0, 0},
		{"1", append(d(1, 2), made(kinds.Tag, 9)), 0, 0},
		{"1", d(1, 2, 0), 0, 3}, // its clock was set back
		{"1", d(1, 2), 0, 3},
		{"1", d(1, 3), 0, 5}, // one for another
		{"1", d(3), 0, 5},
		{"1", nil, 0, 5},
		{"2", nil, 8, 8},
		{"2", d(-1), 8, 9},
	} {
		sources := []plan.Source{{Kind: kinds.Tag.Name, UID: "t"}, {Kind: kinds.Digest.Name, UID: c.uid}}
		for _, s := range c.sets {
			if s.Kind == kinds.Digest {
				sources[1].Sets++
			}
		}
		seen.note(sources, c.sets, start.Add(time.Duration(minute)*time.Minute))
		got := fmt.Sprint(sources[1].Since.Sub(start), sources[1].Came.Sub(start))
		if want := fmt.Sprint(time.Duration(c.since)*time.Minute, time.Duration(c.came)*time.Minute); got != want {
			t.Errorf("minute %d: seen since and the last set came at %s, want %s", minute, got, want)
		}
	}
}
