// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"fmt"
	"net/http"
	"testing"
	"time"
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
	c := complaints{byPlace: make(map[string]complaint)}
	about := func(kind Kind, message string) complaint {
		return complaint{Complaint: Complaint{Mirror: "m.com", Kind: kind, Message: message}, until: time.Now().Add(stale)}
	}
	for i, want := range []bool{true, false, true} {
		found := about([]Kind{LoginRefused, LoginRefused, AuthorityUnknown}[i], fmt.Sprint(i))
		if c.add(found) != want {
			t.Errorf("complaint %d: new %t", i, !want)
		}
	}
}

func TestComplaintsAreBounded(t *testing.T) {
	c := complaints{byPlace: make(map[string]complaint)}
	for i := range 3 * maxComplaints {
		c.mu.Lock()
		c.add(complaint{Complaint: Complaint{Mirror: fmt.Sprint(i), Kind: LoginNeeded}, until: time.Now().Add(stale)})
		c.mu.Unlock()
	}
	if n := len(c.all()); n == 0 || n > maxComplaints {
		t.Errorf("%d are kept", n)
	}
}
