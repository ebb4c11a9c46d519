// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/route"
)

// led returns the places that the entries lead containerd to, one after the other, up to the first entry with another answer.
func led(t *testing.T, s *Server, host, repository, object string) (to []string) {
	t.Helper()
	for _, entry := range []string{"0", "1", "2", "3", "source"} {
		w := ask(t, s, http.MethodHead, pathTo(entry, host, repository, object))
		switch w.Code {
		case http.StatusTemporaryRedirect:
			to = append(to, strings.TrimPrefix(w.Header().Get("Location"), "https://"))
		case http.StatusForbidden:
			to = append(to, "refused")
		}
	}
	return to
}

func TestATagIsSentToTheMirrorsForTags(t *testing.T) {
	digests, tags, empty := startRegistry(t, false, has), startRegistry(t, false, has), startRegistry(t, false, status(http.StatusNotFound))
	s := newServer(t, fmt.Sprintf("D a: s.com/x -> %s/d [Never]\nT a: s.com/x -> %s/t, %s/t [Never]", digests.host, empty.host, tags.host))
	if got, want := led(t, s, "s.com", "x/y", "1"), []string{tags.host + "/v2/t/y/manifests/1", "refused"}; !slices.Equal(got, want) {
		t.Errorf("a tag: led to %q, want %q", got, want)
	}
	for _, r := range append(tags.requests(), empty.requests()...) {
		if r.Method != http.MethodHead || r.URL.Path != "/v2/t/y/manifests/1" {
			t.Errorf("asked for %s %s", r.Method, r.URL.Path)
		}
	}
	if n := len(digests.requests()); n > 0 {
		t.Errorf("the mirror for digests was asked %d times for a tag", n)
	}
}

func TestWhatATagNamesIsFetchedWhereTheTagWasFound(t *testing.T) { // T10
	digests, tags, empty := startRegistry(t, false, has), startRegistry(t, false, has), startRegistry(t, false, status(http.StatusNotFound))
	sets := fmt.Sprintf("D a: s.com/x -> %s/d [Never]\nT a: s.com/x -> %s/t, %s/t [Never]", digests.host, empty.host, tags.host)
	s := newServer(t, sets)
	content := func(repository string) []string { return led(t, s, "s.com", repository, manifestDigest) }
	alone := []string{digests.host + "/v2/d/y/manifests/" + manifestDigest, "refused"}
	if got := content("x/y"); !slices.Equal(got, alone) {
		t.Errorf("before any tag: led to %q, want %q", got, alone)
	}
	led(t, s, "s.com", "x/y", "1")
	behind := []string{alone[0], tags.host + "/v2/t/y/manifests/" + manifestDigest, "refused"}
	if got := content("x/y"); !slices.Equal(got, behind) {
		t.Errorf("behind a tag: led to %q, want %q", got, behind)
	}
	if got := content("x/z"); len(got) != 2 {
		t.Errorf("of another repository: led to %q", got)
	}
	setRules(t, s, fmt.Sprintf("D a: s.com/x -> %s/d [Never]\nT a: s.com/x -> %s/t [Never]", digests.host, empty.host))
	if got := content("x/y"); !slices.Equal(got, alone) {
		t.Errorf("once no set names the mirror for tags: led to %q, want %q", got, alone)
	}
	setRules(t, s, sets)
	if got := content("x/y"); !slices.Equal(got, behind) {
		t.Errorf("once a set names it again: led to %q, want %q", got, behind)
	}
}

func TestAMirrorThatHangsIsPassedOverForAFindBehindIt(t *testing.T) {
	hangs := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, sets := range map[string]string{
		"both are for tags":         "T a: s.com/x -> %[1]s/t, %[2]s/t [Never]",
		"the first is for digests":  "D a: s.com/x -> %[1]s/t [Never]\nT a: s.com/x -> %[2]s/t [Never]",
		"the first is for both":     "D a: s.com/x -> %[1]s/t [Never]\nT a: s.com/x -> %[1]s/t, %[2]s/t [Never]",
		"the source is not blocked": "T a: s.com/x -> %[1]s/t, %[2]s/t",
	} {
		t.Run(name, func(t *testing.T) {
			hanging, good := startRegistry(t, false, hangs), startRegistry(t, false, has)
			s := newServer(t, fmt.Sprintf(sets, hanging.host, good.host))
			s.scout.deadline = 500 * time.Millisecond // the other one has to answer within it, on a busy machine too
			s.finds.Note("s.com/x/y", route.Target{Host: hanging.host, Repository: "t/y"})
			s.finds.Note("s.com/x/y", route.Target{Host: good.host, Repository: "t/y"})
			want := good.host + "/v2/t/y/manifests/" + manifestDigest
			if got := led(t, s, "s.com", "x/y", manifestDigest); len(got) == 0 || got[0] != want {
				t.Errorf("led to %q, want %q first", got, want)
			}
		})
	}
}

func TestTheLastMirrorOfABlockedSourceIsWaitedForWhereFindsLackTheContent(t *testing.T) {
	slow := startRegistry(t, false, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	tags := startRegistry(t, false, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/1") {
			has(w, r)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	s := newServer(t, fmt.Sprintf("D a: s.com/x -> %s/d [Never]\nT a: s.com/x -> %s/t [Never]", slow.host, tags.host))
	s.scout.deadline = 500 * time.Millisecond // the other one has to answer within it, on a busy machine too
	led(t, s, "s.com", "x/y", "1")
	if got, want := led(t, s, "s.com", "x/y", manifestDigest), []string{slow.host + "/v2/d/y/manifests/" + manifestDigest, "refused"}; !slices.Equal(got, want) {
		t.Errorf("led to %q, want the one mirror that the set names for digests", got)
	}
}

func TestATagThatAMirrorLackedIsAskedForAgain(t *testing.T) {
	pushed := false
	mirror := startRegistry(t, false, func(w http.ResponseWriter, r *http.Request) {
		if !pushed {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		has(w, r)
	})
	s := newServer(t, fmt.Sprintf("T a: s.com/x -> %s/t [Never]", mirror.host))
	if got := led(t, s, "s.com", "x/y", "1"); !slices.Equal(got, []string{"refused"}) {
		t.Errorf("before it is pushed: led to %q", got)
	}
	if got := message(t, ask(t, s, http.MethodGet, pathTo("source", "s.com", "x/y", "1"))); !strings.Contains(got, "it answered 404 Not Found") {
		t.Errorf("refused with %s", got)
	}
	pushed = true
	if got := led(t, s, "s.com", "x/y", "1"); len(got) != 2 {
		t.Errorf("once it is pushed: led to %q", got)
	}
}

func TestATagIsStreamedFromAMirrorThatContainerdCannotReach(t *testing.T) {
	plain := startRegistry(t, true, has)
	s := newServer(t, fmt.Sprintf("T a: s.com/x -> %s/t", plain.host), plain.host)
	w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", "1"))
	if w.Code != http.StatusOK || w.Body.String() != manifest {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", manifestDigest)); w.Code != http.StatusOK || w.Body.String() != manifest {
		t.Errorf("what it names: got %d %s", w.Code, w.Body)
	}
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
