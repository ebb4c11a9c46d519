// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/grants"
)

func TestAComplaintEndsWithTheRuleThatNamesTheMirror(t *testing.T) {
	corp := newAuthority(t)
	mirror := corp.start(t, basic("ann", "secret1"))
	granted := grant(t, nil, corp, mirror)
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", granted)
	ask(t, s, http.MethodGet, blobPath("0", "x/y"))
	one(t, s, LoginNeeded)
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

func TestAComplaintInOtherWordsIsNotNew(t *testing.T) {
	c := complaints{byCause: make(map[cause]complaint)}
	add := func(kind Kind, message string) bool {
		return c.add(manifests, true, complaint{Complaint: Complaint{Mirror: "m.com", Kind: kind, Message: message}})
	}
	for i, c := range []struct {
		kind    Kind
		message string
		want    bool
	}{{LoginRefused, "a", true}, {LoginRefused, "b", false}, {LoginNeeded, "c", true}, {AuthorityUnknown, "d", true}, {CertificateExpired, "e", true}, {CertificateExpired, "e", false}} {
		if add(c.kind, c.message) != c.want {
			t.Errorf("complaint %d: new %t", i, !c.want)
		}
	}
	if all := c.all(); len(all) != 2 || all[0].Message != "c" || all[1].Message != "e" {
		t.Errorf("the last one of each kind stands: %v", all)
	}
	by := cause{"m.com", true, "", ""}
	known := c.byCause[by]
	known.since, known.until = known.since.Add(-settled), time.Now().Add(-time.Second)
	c.byCause[by] = known
	if !add(CertificateExpired, "e") {
		t.Error("one that comes up again after its end is not new")
	}
	known = c.byCause[by]
	known.since = known.since.Add(-settled)
	c.byCause[by] = known
	if !add(CertificateExpired, "f") || c.all()[1].Message != "f" {
		t.Error("the words never change")
	}
}

func TestComplaintsAreBoundedAndTheNewestStay(t *testing.T) {
	c := complaints{byCause: make(map[cause]complaint)}
	for i := range 3 * maxComplaints {
		c.add(manifests, true, complaint{Complaint: Complaint{Mirror: fmt.Sprint(i), Kind: LoginNeeded}})
	}
	all := c.all()
	if len(all) != maxComplaints || !slices.ContainsFunc(all, func(k Complaint) bool { return k.Mirror == fmt.Sprint(3*maxComplaints-1) }) {
		t.Errorf("%d are kept: %v", len(all), all)
	}
}

// TestEachCauseStaysUntilItIsMended has a repository that the login may not read, one whose blobs are at a store that nobody trusts, and one that is well.
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
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror))
	var changes atomic.Int32
	s.relay.complaints.changed = func() { changes.Add(1) }
	for range 3 {
		for _, repository := range []string{"x/shut", "x/far", "x/well"} {
			ask(t, s, http.MethodGet, pathTo("0", "s.com", repository, manifestDigest))
			ask(t, s, http.MethodGet, blobPath("0", repository))
		}
	}
	var kinds []Kind
	for _, found := range s.Complaints() {
		kinds = append(kinds, found.Kind)
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []Kind{AuthorityUnknown, LoginRefused}) || changes.Load() > 3 {
		t.Errorf("complaints %v, which changed %d times", s.Complaints(), changes.Load())
	}
	regrant(s, grant(t, map[string]login{mirror.host: password("ann", "secret1")}, other, mirror))
	if found := s.Complaints(); len(found) != 1 || found[0].Kind != LoginRefused {
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
