// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import "strings"

// EnforcementAnnotation is the annotation of a set that makes nodes watch NeverContactSource of its entries instead of enforcing it (V3).
const EnforcementAnnotation = "mirrorset.io/enforcement"

// shadowMode is the only value that the annotation may have.
const shadowMode = "shadow"

// InShadowMode reports whether NeverContactSource of the set's entries is watched and not enforced.
func (s *Set) InShadowMode() bool {
	return strings.TrimSpace(s.Enforcement) == shadowMode
}

// readEnforcement finds a value of the annotation that means nothing.
func (m *merger) readEnforcement(set *Set) {
	if strings.TrimSpace(set.Enforcement) == "" || set.InShadowMode() {
		return
	}
	m.find(InvalidEnforcement, "", []Entry{set.OutsideEntries()},
		"annotation %s: the value %s is ignored, because the only valid value is %s, so nodes enforce NeverContactSource of this set; write %[3]s, or remove the annotation", EnforcementAnnotation, quote(set.Enforcement), shadowMode)
}

// Watched is a source that sets in shadow mode would block.
type Watched struct {
	Source Scope
	// By are the entries that would block it, in the order of objects and entries. They may be those of a broader source (T4).
	By []Entry
}
