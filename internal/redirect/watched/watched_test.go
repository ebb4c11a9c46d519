// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package watched

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// watching returns a memory that watches sources, and how often it reported news.
func watching(sources ...mirrors.Scope) (m *Memory, told *int) {
	told = new(int)
	m = New(func() { *told++ })
	m.Keep(slices.Values(sources))
	return m, told
}

func TestImagesThatWouldBeRefusedAreRememberedBySource(t *testing.T) { // V5
	m, told := watching("s.com", "t.com/x")
	for _, image := range []string{"t.com/x/b:1", "t.com/x/a:1", "t.com/x/b:1"} {
		m.Note("t.com/x", image)
	}
	m.Note("s.com", "s.com/a@sha256:1")
	m.Note("u.com", "u.com/a:1") // which nobody watches
	m.Note("s.com", "")
	m.Note("s.com", "s.com/"+strings.Repeat("x", maxImage))
	want := []Source{{"s.com", 1, []string{"s.com/a@sha256:1"}}, {"t.com/x", 2, []string{"t.com/x/a:1", "t.com/x/b:1"}}}
	if got := m.All(); fmt.Sprint(got) != fmt.Sprint(want) || *told != 2 {
		t.Errorf("got %+v, told %d times", got, *told)
	}
}

func TestTheImagesOfASourceThatIsWatchedNoLongerAreForgotten(t *testing.T) {
	m, told := watching("s.com", "t.com")
	m.Note("s.com", "s.com/a:1")
	m.Note("t.com", "t.com/a:1")
	m.Keep(slices.Values([]mirrors.Scope{"t.com", "u.com"}))
	m.Note("s.com", "s.com/a:1")
	if got := m.All(); len(got) != 1 || got[0].Source != "t.com" || *told != 3 {
		t.Errorf("got %+v, told %d times", got, *told)
	}
	m.Keep(slices.Values([]mirrors.Scope{"t.com"}))
	if *told != 3 {
		t.Error("rules that change nothing are told of")
	}
}

func TestTheFirstTenImagesAreTold(t *testing.T) {
	m, told := watching("s.com")
	for i := range 2 * maxImages {
		m.Note("s.com", fmt.Sprintf("s.com/a:%04d", 5000-i))
	}
	got := m.All()[0]
	if got.Count != maxImages || len(got.Images) != maxTold || got.Images[0] != "s.com/a:4991" || got.Images[9] != "s.com/a:5000" || *told != 1 {
		t.Errorf("got %+v, told %d times", got, *told)
	}
}

func TestSourcesAreBounded(t *testing.T) {
	var sources []mirrors.Scope
	for i := range 2 * maxSources {
		sources = append(sources, mirrors.Scope(fmt.Sprintf("s%03d.com", i)))
	}
	m, _ := watching(sources...)
	for _, source := range sources {
		m.Note(source, string(source)+"/a:1")
	}
	if got := m.All(); len(got) != maxSources || got[maxSources-1].Source != "s099.com" {
		t.Errorf("%d sources, the last one %+v", len(got), got[len(got)-1])
	}
}

func TestManyNoteAtOnce(t *testing.T) {
	var m *Memory
	m = New(func() { m.All() })
	m.Keep(slices.Values([]mirrors.Scope{"s.com"}))
	var noting sync.WaitGroup
	for i := range 8 {
		noting.Go(func() {
			for j := range 100 {
				m.Note("s.com", fmt.Sprintf("s.com/%d:%d", i, j))
				m.Keep(slices.Values([]mirrors.Scope{"s.com"}))
			}
		})
	}
	noting.Wait()
	if got := m.All()[0].Count; got != 800 {
		t.Errorf("%d images", got)
	}
}
