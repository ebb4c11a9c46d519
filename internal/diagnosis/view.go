// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// view is a case with what is known of its last attempt.
type view struct {
	*Case
	attempt
	answers []answer
}

func newView(c *Case) *view {
	v := &view{Case: c, attempt: c.findAttempt()}
	v.answers = v.findAnswers()
	return v
}

// rules are the rules that the node should have, or the content of the sets where nobody may read these.
func (v *view) rules() *Rules {
	if v.InForce.Known {
		return &v.InForce
	}
	return &v.Sets
}

// source names the source that decides, for people.
func (v *view) source() string {
	if v.rules().Rule == nil {
		return "the source"
	}
	return fmt.Sprintf("source %q", v.rules().Rule.Source)
}

// by names the sets that block the source, where they are known.
func (v *view) by() string {
	if v.rules().BlockedBy == "" {
		return ""
	}
	return " by " + v.rules().BlockedBy
}

// hasMirrors reports whether the rules have mirrors for the kind of reference that names the image.
func (v *view) hasMirrors() bool {
	return slices.ContainsFunc(v.rules().PullSources, func(s mirrors.PullSource) bool { return !v.isSource(s) })
}

// evidence is everything that was seen, the oldest first. Evidence without a time is last.
func (v *view) evidence() []Evidence {
	all := []Evidence{}
	add := func(at time.Time, of, format string, args ...any) {
		e := Evidence{Of: of, Text: cut(fmt.Sprintf(format, args...), longest/8)}
		if !at.IsZero() {
			at = at.UTC().Truncate(time.Second)
			e.At = &at
		}
		all = append(all, e)
	}
	tell := func(begins bool) {
		for _, e := range v.Events {
			says := e.Reason == eventFailed && strings.HasPrefix(e.Message, "Error: ") || e.Reason == "BackOff" || e.OfPod && !e.Warns // no more than the others do
			if !says && (e.Reason == eventPulling) == begins {
				add(e.At, "event", "%s: %s", e.Reason, e.Message)
			}
		}
	}
	tell(true)
	if v.pull != nil {
		for _, t := range v.pull.Tries {
			add(v.pull.Began, placeName(t.Place, t.Source), "%s", sayTries(t))
		}
		if v.pull.Refusal != "" {
			add(v.pull.Last, "redirector", "refused: %s", v.pull.Refusal)
		}
	}
	tell(false)
	for _, f := range v.Node.Faults {
		if v.names(f.Mirror) {
			add(f.Since, "node", "the node has since reported mirror %s as %s: %s", f.Mirror, f.State, f.Message)
		}
	}
	for _, line := range v.Node.Says {
		add(time.Time{}, "node", "%s", line)
	}
	if v.unseen && v.hasMirrors() {
		add(time.Time{}, "redirector", "it saw nothing of the last attempt")
	}
	slices.SortStableFunc(all, func(a, b Evidence) int {
		switch {
		case a.At == nil || b.At == nil:
			return boolOf(a.At == nil) - boolOf(b.At == nil)
		default:
			return a.At.Compare(*b.At)
		}
	})
	return all
}

func boolOf(is bool) int {
	if is {
		return 1
	}
	return 0
}

// names reports whether a mirror, as rules name it, is a mirror of the image.
func (v *view) names(mirror string) bool {
	return slices.ContainsFunc(v.rules().PullSources, func(s mirrors.PullSource) bool {
		return !v.isSource(s) && mirrors.Scope(mirror).Contains(mirrors.Scope(v.placeOf(s)))
	})
}

func placeName(place string, isSource bool) string {
	if isSource {
		return "source " + place
	}
	return "mirror " + place
}

// sayTries writes tries of one place out.
func sayTries(t accesslog.Tries) string {
	text := strings.ReplaceAll(string(t.Outcome), "_", " ")
	if t.Outcome == accesslog.Sent {
		text = "the redirector sent the runtime there and did not see the answer"
	}
	if t.Requests > 1 {
		text += fmt.Sprintf(" (%d requests)", t.Requests)
	}
	if t.Why != "" {
		text += ": " + t.Why
	}
	return text
}
