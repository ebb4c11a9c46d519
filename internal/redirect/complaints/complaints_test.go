// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package complaints

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect/upstream"
)

const object = "manifests/latest"

func TestAComplaintInOtherWordsIsNotNew(t *testing.T) {
	m := New(nil)
	add := func(kind Kind, message string) bool {
		return m.add(object, true, complaint{Complaint: Complaint{Mirror: "m.com", Kind: kind, Message: message}})
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
	if all := m.All(); len(all) != 2 || all[0].Message != "c" || all[1].Message != "e" {
		t.Errorf("the last one of each kind stands: %v", all)
	}
	by := cause{"m.com", true, "", ""}
	known := m.byCause[by]
	known.since, known.until = known.since.Add(-settled), time.Now().Add(-time.Second)
	m.byCause[by] = known
	if !add(CertificateExpired, "e") {
		t.Error("one that comes up again after its end is not new")
	}
	known = m.byCause[by]
	known.since = known.since.Add(-settled)
	m.byCause[by] = known
	if !add(CertificateExpired, "f") || m.All()[1].Message != "f" {
		t.Error("the words never change")
	}
}

func TestComplaintsAreBoundedAndTheNewestStay(t *testing.T) {
	m := New(nil)
	for i := range 3 * maxComplaints {
		m.add(object, true, complaint{Complaint: Complaint{Mirror: fmt.Sprint(i), Kind: LoginNeeded}})
	}
	all := m.All()
	if len(all) != maxComplaints || !slices.ContainsFunc(all, func(k Complaint) bool { return k.Mirror == fmt.Sprint(3*maxComplaints-1) }) {
		t.Errorf("%d are kept: %v", len(all), all)
	}
}

func TestAComplaintEndsWithAGoodAnswerThatProvesIt(t *testing.T) {
	everywhere := &upstream.Refused{Status: "401 Unauthorized", By: "m.com", HadLogin: true, Everywhere: true}
	once := &upstream.Refused{Status: "403 Forbidden", By: "m.com", HadLogin: true}
	of := func(host string) error { return &upstream.Untrusted{Host: host, Err: errors.New("not accepted")} }
	for name, c := range map[string]struct {
		err      error
		key      mirrors.Scope // of the login
		of, good mirrors.Scope
		other    bool // another object
		ends     bool
	}{
		"a login that is good for nothing, and another repository":      {everywhere, "m.com/t", "m.com/t/x", "m.com/t/y", true, true},
		"a login that is good for nothing, and another mirror":          {everywhere, "m.com/t", "m.com/t/x", "n.com/t/x", false, false},
		"a login that one repository refuses, and another repository":   {once, "m.com/t", "m.com/t/x", "m.com/t/y", false, false},
		"a login that one repository refuses, and another object there": {once, "m.com/t", "m.com/t/x", "m.com/t/x", true, false},
		"a login that one repository refuses, and the same object":      {once, "m.com/t", "m.com/t/x", "m.com/t/x", false, true},
		"a mirror's certificate, and another repository":                {of("m.com"), "", "m.com/x", "m.com/y", true, true},
		"a mirror's certificate, and another mirror":                    {of("m.com"), "", "m.com/x", "n.com/x", false, false},
		"a store's certificate, and another repository":                 {of("store.com"), "", "m.com/x", "m.com/y", false, false},
		"a store's certificate, and the same object":                    {of("store.com"), "", "m.com/x", "m.com/x", false, true},
	} {
		changes := 0
		m := New(func() { changes++ })
		m.Note(Answer{Mirror: c.of, Object: object, Key: c.key, Err: c.err})
		if all := m.All(); len(all) != 1 || changes != 1 {
			t.Errorf("%s: complaints %v, which changed %d times", name, all, changes)
		}
		good := Answer{Mirror: c.good, Object: object}
		if c.other {
			good.Object = "manifests/other"
		}
		if c.key.Contains(c.good) {
			good.Key = c.key
		}
		m.Note(good)
		if all := m.All(); (len(all) == 0) != c.ends || (changes == 2) != c.ends {
			t.Errorf("%s: complaints %v, which changed %d times", name, all, changes)
		}
	}
}
