// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package setstatus

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// inForce stays true when nodes join or leave, so that such a change writes no set.
const inForce = "in force: every node has put it in force, and no node has reported a failure since"

// Fleet is the nodes that count.
type Fleet struct {
	// Unseen means that the reports of nodes are not available now.
	Unseen bool

	members  []fleet.Member
	suspects []fleet.Member // those of them that can fail some set
	faults   map[mirrors.Scope]faults
	unspoken map[mirrors.Scope]faults // of nodes without a current report
	sees     bool                     // a node that somebody speaks for sees pulls
	saw      bool                     // another one did
}

// NewFleet returns the nodes that count, by name.
func NewFleet(members []fleet.Member) Fleet {
	f := Fleet{members: members, faults: faultsOf(members, true), unspoken: faultsOf(members, false)}
	for i := range members {
		if members[i].SeesPulls() {
			f.sees = f.sees || members[i].IsSpokenFor()
			f.saw = f.saw || !members[i].IsSpokenFor()
		}
		if standing.Suspect(&members[i].Status) {
			f.suspects = append(f.suspects, members[i])
		}
	}
	return f
}

// rollout is where the nodes are with a generation of a set; each named with what keeps it.
type rollout struct {
	reached      int
	late, broken []string
}

func survey(members []fleet.Member, revision int64, sources map[string]bool, p *Published) (r rollout) {
	for i := range members {
		m := &members[i]
		where, why := standing.OfSources(&m.Status, revision, sources, p.For(m.Name))
		named := m.Name
		if why != "" {
			named += " (" + cut(why) + ")"
		}
		switch where {
		case standing.InForce:
			r.reached++
		case standing.Behind:
			r.late = append(r.late, named)
		case standing.Failing:
			r.broken = append(r.broken, named)
		}
	}
	return r
}

// applied returns whether this generation of a set is in force (S1 to S5).
func (f *Fleet) applied(before, status configv1.MirrorSetStatus, sources map[string]bool, p *Published) metav1.Condition {
	condition := metav1.Condition{Type: configv1.ConditionApplied, Status: metav1.ConditionFalse}
	if status.Revision == 0 {
		condition.Reason, condition.Message = cmp.Or(p.Reason, configv1.ReasonNotPublished), p.Held
		return condition
	}
	if was := everywhere(before, status.ObservedGeneration); was != nil {
		if f.Unseen {
			return *was
		}
		lost := survey(f.suspects, status.Revision, sources, p).broken
		if len(lost) == 0 {
			condition.Status, condition.Reason, condition.Message = metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, inForce
			return condition
		}
		condition.Reason = configv1.ReasonDegraded
		condition.Message = fmt.Sprintf("every node had it in force, but now %s: %s", plural(len(lost), "node has not", "nodes have not"), enumerate(lost))
		return condition
	}
	now := survey(f.members, status.Revision, sources, p)
	condition.Message = fmt.Sprintf("in force on %d of %d nodes", now.reached, len(f.members))
	switch {
	case len(f.members) == 0:
		condition.Reason, condition.Message = configv1.ReasonNoNodes, "no node has an agent"
	case len(now.broken) > 0:
		condition.Reason = configv1.ReasonNodesFailing
		condition.Message += "; failing: " + enumerate(now.broken)
	case len(now.late) > 0:
		condition.Reason = configv1.ReasonProgressing
		if len(now.late) <= maxNodesNamed {
			condition.Message += "; waiting for " + enumerate(now.late)
		}
	default:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, inForce
	}
	return condition
}

// everywhere returns the condition of a set if all nodes have had this generation in force at one time, and nil otherwise.
func everywhere(before configv1.MirrorSetStatus, generation int64) *metav1.Condition {
	was := meta.FindStatusCondition(before.Conditions, configv1.ConditionApplied)
	if was != nil && was.ObservedGeneration == generation && (was.Status == metav1.ConditionTrue || was.Reason == configv1.ReasonDegraded) {
		return was
	}
	return nil
}

// cut returns the first line of a message, in a length that others leave room for.
func cut(message string) string {
	line, _, _ := strings.Cut(message, "\n")
	if len(line) > maxWhy {
		line = strings.ToValidUTF8(line[:maxWhy], "") + "..."
	}
	return line
}

// enumerate joins the first names, and counts the others.
func enumerate(names []string) string {
	text := strings.Join(names[:min(len(names), maxNodesNamed)], ", ")
	if more := len(names) - maxNodesNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func plural(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}
