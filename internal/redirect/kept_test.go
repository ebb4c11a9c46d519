// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/redirect/complaints"
)

func TestAComplaintEndsWithTheRuleThatNamesTheMirror(t *testing.T) {
	corp := newAuthority(t)
	mirror := corp.start(t, basic("ann", "secret1"))
	granted := grant(t, nil, corp, mirror)
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", granted)
	ask(t, s, http.MethodGet, blobPath("0", "x/y"))
	one(t, s, complaints.LoginNeeded)
	for _, c := range []struct {
		sets string
		want int
	}{
		{"a: other.com -> " + mirror.host, 1},
		{"a: s.com/x -> " + mirror.host + "/other", 0},
	} {
		s.SetRules(Rules{Router: newServer(t, c.sets).rules.Load().Router, Grants: granted})
		if got := s.Complaints(); len(got) != c.want {
			t.Errorf("%s: complaints %v", c.sets, got)
		}
	}
}

// TestEachCauseStaysUntilItIsMended has a repository that the login may not read, a repository whose blobs are at an untrusted store, and a healthy
// one.
func TestEachCauseStaysUntilItIsMended(t *testing.T) {
	corp, other := newAuthority(t), newAuthority(t)
	store := other.start(t, content)
	mirror := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _, ok := r.BasicAuth()
		switch {
		case ok && strings.HasPrefix(r.URL.Path, "/v2/m/shut/"):
			w.WriteHeader(http.StatusForbidden)
		case ok && strings.HasPrefix(r.URL.Path, "/v2/m/far/") && strings.Contains(r.URL.Path, "/blobs/"):
			http.Redirect(w, r, store.URL+"/blob", http.StatusTemporaryRedirect)
		default:
			basic("ann", "secret1")(w, r)
		}
	})
	s, changes := newComplaining(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror))
	for range 3 {
		for _, repository := range []string{"x/shut", "x/far", "x/well"} {
			ask(t, s, http.MethodGet, pathTo("0", "s.com", repository, manifestDigest))
			ask(t, s, http.MethodGet, blobPath("0", repository))
		}
	}
	var kinds []complaints.Kind
	for _, found := range s.Complaints() {
		kinds = append(kinds, found.Kind)
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []complaints.Kind{complaints.AuthorityUnknown, complaints.LoginRefused}) || changes.Load() > 3 {
		t.Errorf("complaints %v, which changed %d times", s.Complaints(), changes.Load())
	}
	regrant(s, grant(t, map[string]login{mirror.host: password("ann", "secret1")}, other, mirror))
	if found := s.Complaints(); len(found) != 1 || found[0].Kind != complaints.LoginRefused {
		t.Errorf("with another authority: complaints %v", found)
	}
}

func TestALateAnswerToAnOldLoginIsNotComplainedOf(t *testing.T) {
	corp := newAuthority(t)
	arrived, mended := make(chan struct{}), make(chan struct{})
	mirror := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		if _, secret, ok := r.BasicAuth(); ok && secret == "secret0" {
			close(arrived)
			<-mended
		}
		basic("ann", "secret1")(w, r)
	})
	granted := func(secret string) grants.Grants {
		return grant(t, map[string]login{mirror.host: password("ann", secret)}, corp, mirror)
	}
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", granted("secret0"))
	var asking sync.WaitGroup
	asking.Go(func() { ask(t, s, http.MethodGet, blobPath("0", "x/y")) })
	<-arrived
	regrant(s, granted("secret1"))
	close(mended)
	asking.Wait()
	if found := s.Complaints(); found != nil {
		t.Errorf("complaints %v", found)
	}
}
