// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorset/mirrorset/internal/route"
)

func TestAFindIsKeptForAsLongAsAPullMayTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := finds{byRepository: make(map[string]find)}
		tag := question{host: "s.com", repository: "x", kind: manifests, object: "1"}
		a, b := route.Target{Host: "a.com"}, route.Target{Host: "b.com"}
		want := func(when string, mirrors ...route.Target) {
			t.Helper()
			if got := f.of(tag); !slices.Equal(got, mirrors) {
				t.Errorf("%s: %v, want %v", when, got, mirrors)
			}
		}
		f.note(tag, a)
		time.Sleep(23 * time.Hour)
		want("while a large layer may still be on its way", a)
		time.Sleep(23 * time.Hour)
		want("as long after it was asked for", a)
		time.Sleep(23 * time.Hour)
		f.note(tag, b)
		want("after another find", a, b)
		time.Sleep(25 * time.Hour)
		f.note(tag, b)
		want("once the first find is over", b)
		time.Sleep(25 * time.Hour)
		want("after all pulls")
	})
}

func TestAMirrorForBothModesIsAskedOnceForADigest(t *testing.T) { // T10
	m := startRegistry(t, false, has)
	s := newServer(t, fmt.Sprintf("D a: s.com/x -> %s/m [Never]\nT a: s.com/x -> %s/m [Never]", m.host, m.host))
	led(t, s, "s.com", "x/y", "1")
	if got := led(t, s, "s.com", "x/y", manifestDigest); len(got) != 2 {
		t.Errorf("led to %q, want the mirror once, and the refusal", got)
	}
	if w := ask(t, s, http.MethodHead, pathTo("1", "s.com", "x/y", manifestDigest)); w.Code != http.StatusNotFound {
		t.Errorf("rank 1: %d", w.Code)
	}
}
