// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package onhost

import (
	"bytes"
	"errors"
	"fmt"
	"maps"

	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Preflights are the preflights of one host. They do not try the same rules again while the files of others stay the same.
type Preflights struct {
	host   *hostfile.Host
	rules  []mirrors.Rule
	text   []byte
	others local
	unseen string
	// passed is the candidate that resulted from the fields above. It is nil if the preflight failed.
	passed *Candidate
}

// PreflightsOf returns an empty history of the preflights of a host.
func PreflightsOf(host *hostfile.Host) *Preflights {
	return &Preflights{host: host}
}

// Try is [Preflight]. The caller must not change the rules, their text or the candidate.
func (p *Preflights) Try(rules []mirrors.Rule, text []byte) (Candidate, error) {
	removeLeftovers()
	others, unseen := readLocal(p.host)
	problems := fmt.Sprint(errors.Join(unseen...))
	if p.passed != nil && isSame(p.rules, rules) && isSame(p.text, text) && p.unseen == problems && p.others.equal(others) {
		return *p.passed, nil
	}
	p.passed = nil
	c, err := preflight(local{base: others.base, dropIns: maps.Clone(others.dropIns)}, unseen, rules, text)
	if err == nil && !c.isPartial {
		p.rules, p.text, p.others, p.unseen, p.passed = rules, text, others, problems, &c
	}
	return c, err
}

// isSame reports whether two slices share their memory, and are not only equal.
func isSame[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// equal reports whether both have the same files with the same content.
func (l local) equal(other local) bool {
	same := func(a, b localFile) bool { return a.path == b.path && bytes.Equal(a.content, b.content) }
	if (l.base == nil) != (other.base == nil) || l.base != nil && !same(*l.base, *other.base) {
		return false
	}
	return maps.EqualFunc(l.dropIns, other.dropIns, same)
}
