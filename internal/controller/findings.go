// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"hash/maphash"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// maxLogged bounds how many findings one pass logs: a single set can have tens of thousands.
const maxLogged = 100

var findingSeed = maphash.MakeSeed()

// logFindings logs the findings that the last pass did not have.
func (p *Publisher) logFindings(ctx context.Context, findings []mirrors.Finding) {
	type said struct {
		reason                 mirrors.Reason
		message, sets, entries string
	}
	log, logged, added := ctrl.LoggerFrom(ctx), make(map[uint64]bool, len(findings)), 0
	for _, f := range findings {
		s := said{f.Reason, f.Message, mirrors.Names(f.Entries), f.Path()}
		hash := maphash.Comparable(findingSeed, s)
		if !logged[hash] && !p.logged[hash] {
			if added++; added <= maxLogged {
				log.Info(s.message, "reason", s.reason, "sets", s.sets, "entries", s.entries)
			}
		}
		logged[hash] = true
	}
	if more := added - maxLogged; more > 0 {
		log.Info("There are more findings; kubectl mirrors doctor lists all of them", "findings", more)
	}
	p.logged = logged
}
