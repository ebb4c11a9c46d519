// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/mirrorset/mirrorset/internal/payload"
)

func TestRulesThatAreTooLargeAreHeldForGood(t *testing.T) {
	text := make([]byte, 2<<20) // which cannot be compressed
	if _, err := rand.Read(text); err != nil {
		t.Fatal(err)
	}
	p := &Publisher{Board: &Board{}}
	if err := p.publishAndTell(t.Context(), published{}, payload.New(1, text), nil, Snapshot{}); !errors.Is(err, payload.ErrTooLarge) {
		t.Fatalf("error %v", err)
	}
	if s := p.Board.Get(); s.Held == "" || !s.HeldForGood {
		t.Errorf("got %+v", s)
	}
}
