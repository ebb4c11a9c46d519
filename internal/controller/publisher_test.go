// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/controller/configmap"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
)

func TestRulesThatAreTooLargeAreHeldForGood(t *testing.T) {
	text := make([]byte, 2<<20) // which cannot be compressed
	if _, err := rand.Read(text); err != nil {
		t.Fatal(err)
	}
	p := &Publisher{Board: &Board{}}
	if _, err := p.publishAndTell(t.Context(), configmap.Current{}, configmap.Content{Payload: payload.New(1, text)}, nil, Snapshot{}); !errors.Is(err, payload.ErrTooLarge) {
		t.Fatalf("error %v", err)
	}
	if s := p.Board.Get(); s.Held == "" || !s.HeldForGood {
		t.Errorf("got %+v", s)
	}
}

func TestRulesAreSaidInTheOldestFormatThatCanSayThem(t *testing.T) {
	rule := func(modes ...mirrors.Mode) mirrors.Rule {
		var rule mirrors.Rule
		for _, m := range modes {
			rule.Mirrors = append(rule.Mirrors, mirrors.Mirror{Modes: m})
		}
		return rule
	}
	for _, c := range []struct {
		name  string
		rules []mirrors.Rule
		want  int
	}{
		{"no rules", nil, payload.FormatDigests},
		{"digests alone", []mirrors.Rule{rule(mirrors.ByDigest), rule()}, payload.FormatDigests},
		{"tags behind digests", []mirrors.Rule{rule(mirrors.ByDigest), rule(mirrors.ByDigest, mirrors.ByTag)}, payload.FormatTags},
		{"both at once", []mirrors.Rule{rule(mirrors.ByDigest | mirrors.ByTag)}, payload.FormatTags},
	} {
		if got := formatOf(c.rules); got != c.want {
			t.Errorf("%s: format %d, want %d", c.name, got, c.want)
		}
	}
}

func TestNodesAreHeldAgainstTheManagersClock(t *testing.T) {
	now := time.Now().UTC()
	for published, want := range map[int64]int64{1: now.AddDate(0, 0, 1).UnixMilli(), now.AddDate(0, 0, 3).UnixMilli(): now.AddDate(0, 0, 3).UnixMilli()} {
		if got := (&Snapshot{Revision: published, Listed: now}).published().Believed; got != want {
			t.Errorf("published %d: got %d, want %d", published, got, want)
		}
	}
}
