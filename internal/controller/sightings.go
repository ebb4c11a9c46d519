// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"time"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/plan"
)

// sightings are what this manager saw of the CRDs and their sets, by the name of the kind.
type sightings map[string]sighting

type sighting struct {
	uid    string    // of the CRD
	since  time.Time // when it was first seen
	latest time.Time // when the API server created the last of its sets, by its own clock
	sets   int       // how many there were
	came   time.Time // when one more of them was first seen
}

// note completes the sources by since when each has been as it is.
func (s sightings) note(sources []plan.Source, sets []kinds.Set, now time.Time) {
	latest := make(map[string]time.Time, len(sources))
	for i := range sets {
		if made := sets[i].GetCreationTimestamp().Time; made.After(latest[sets[i].Kind.Name]) {
			latest[sets[i].Kind.Name] = made
		}
	}
	for i := range sources {
		source := &sources[i]
		seen, known := s[source.Kind]
		if !known || seen.uid != source.UID {
			seen = sighting{uid: source.UID, since: now, came: now}
		}
		if last := latest[source.Kind]; last.After(seen.latest) || source.Sets > seen.sets {
			seen.came = now
		}
		seen.latest, seen.sets = latest[source.Kind], source.Sets
		s[source.Kind] = seen
		source.Since, source.Came = seen.since, seen.came
	}
}
