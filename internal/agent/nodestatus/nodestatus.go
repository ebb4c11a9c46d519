// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodestatus is pure. It makes the status of a node's MirrorNode from the outcome of the last pass of its agent.
package nodestatus

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/trial"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// Outcome is the outcome of one pass.
type Outcome struct {
	// Revision and Digest are the ones in force; Revision is 0 while nothing was accepted.
	Revision int64
	Digest   string
	Findings []sink.Finding
	Checked  nodecheck.Report
	Err      error
	Trial    *mirrorsetv1alpha1.Trial // nil where this agent has none to tell of
	Observed sink.Observed
}

// ourConditions are those that an agent writes.
var ourConditions = []string{mirrorsetv1alpha1.ConditionApplied, mirrorsetv1alpha1.ConditionRuntimeReady, mirrorsetv1alpha1.ConditionImagesPullable}

// maxMessage bounds the message of a condition; the API server takes 32768 bytes.
const maxMessage = 4096

// Status returns the status for the node's object, given the present status and the runtime that the kubelet uses.
func (o Outcome) Status(now time.Time, before mirrorsetv1alpha1.MirrorNodeStatus, runtimeVersion string) mirrorsetv1alpha1.MirrorNodeStatus {
	runtime := nodecheck.RuntimeOf(runtimeVersion)
	status := mirrorsetv1alpha1.MirrorNodeStatus{}
	for _, c := range before.Conditions { // those of others are not ours to keep
		if slices.Contains(ourConditions, c.Type) {
			status.Conditions = append(status.Conditions, c)
		}
	}
	if o.Revision > 0 {
		status.Revision, status.Digest, status.AppliedAt = o.Revision, o.Digest, &metav1.Time{Time: now.Truncate(time.Second)}
		if before.Revision == o.Revision && before.Digest == o.Digest && before.AppliedAt != nil {
			status.AppliedAt = before.AppliedAt
		}
		status.NotInForce = notInForce(o.Findings, runtime)
		status.NotInForce = status.NotInForce[:min(len(status.NotInForce), mirrorsetv1alpha1.MaxNotInForce)]
	}
	ready := o.runtimeReady(runtime)
	for _, r := range o.Checked.Runtimes {
		if o.Checked.Effect(r) < nodecheck.Unsure {
			status.Runtimes = append(status.Runtimes, string(r))
		}
	}
	if i := slices.Index(status.Runtimes, string(runtime)); i > 0 { // the first one is that of the Pods
		status.Runtimes[0], status.Runtimes[i] = status.Runtimes[i], status.Runtimes[0]
	}
	applied := o.applied(runtime, ready, status.NotInForce)
	if was := meta.FindStatusCondition(before.Conditions, mirrorsetv1alpha1.ConditionApplied); was != nil && was.Reason == mirrorsetv1alpha1.ReasonAgentSilent &&
		applied.Status == metav1.ConditionTrue && status.Revision == before.Revision {
		applied = *was // the manager has seen that there is more to follow than this agent knows of
	}
	for _, c := range []metav1.Condition{ready, applied} {
		c.LastTransitionTime = metav1.Time{Time: now.Truncate(time.Second)}
		meta.SetStatusCondition(&status.Conditions, c)
	}
	status.Trial = o.trialBeside(before)
	o.setSeen(&status, runtime, ready)
	trial.SetPullable(&status, now)
	return status
}

// weight is how much an effect counts for the state of the rules. An effect that is known to keep rules out of force hides an unknown effect. It also
// comes first in a message, because many programs show only the first line.
var weight = map[nodecheck.Effect]int{nodecheck.Mild: 0, nodecheck.Unsure: 1, nodecheck.Late: 2, nodecheck.Unread: 3}

// runtimeReady reports if the runtime reads the files that are written for it, with the remedies if it does not.
func (o Outcome) runtimeReady(runtime nodecheck.Runtime) metav1.Condition {
	condition := metav1.Condition{Type: mirrorsetv1alpha1.ConditionRuntimeReady, Status: metav1.ConditionTrue, Reason: mirrorsetv1alpha1.ReasonReady,
		Message: "nothing on this node prevents a runtime from following the rules"}
	worst := nodecheck.Mild
	var messages []string
	problems := slices.Clone(o.Checked.Problems)
	slices.SortStableFunc(problems, func(a, b nodecheck.Problem) int { return cmp.Compare(weight[b.Effect], weight[a.Effect]) })
	for _, p := range problems {
		if runtime == "" || p.Runtime == runtime {
			if weight[p.Effect] > weight[worst] {
				worst = p.Effect
			}
			messages = append(messages, p.Message+": "+p.Remedy)
		}
	}
	if len(messages) > 0 {
		condition.Reason, condition.Message = mirrorsetv1alpha1.ReasonReadyWithProblems, shorten(strings.Join(messages, "\n"))
	}
	switch worst {
	case nodecheck.Mild:
	case nodecheck.Unsure:
		condition.Status, condition.Reason = metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonNotReady
	default:
		condition.Status, condition.Reason = metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotReady
	}
	return condition
}

// applied reports if all rules of the revision are in force.
func (o Outcome) applied(runtime nodecheck.Runtime, ready metav1.Condition, notInForce []string) metav1.Condition {
	condition := metav1.Condition{Type: mirrorsetv1alpha1.ConditionApplied, Status: metav1.ConditionFalse}
	switch {
	case o.Err != nil:
		condition.Reason, condition.Message = mirrorsetv1alpha1.ReasonFailed, shorten(distinct(o.Err.Error()))
	case o.Revision == 0:
		condition.Reason, condition.Message = mirrorsetv1alpha1.ReasonNotInForce, "the manager has published no rules that this node could put in force"
	case ready.Status == metav1.ConditionFalse:
		condition.Reason, condition.Message = mirrorsetv1alpha1.ReasonNotInForce, shorten(ready.Message)
	case len(notInForce) > 0:
		var messages []string
		for _, f := range o.Findings {
			if len(f.Sources) > 0 && (runtime == "" || f.Runtime == runtime) {
				messages = append(messages, f.Message)
			}
		}
		condition.Reason, condition.Message = mirrorsetv1alpha1.ReasonNotInForce, shorten(strings.Join(messages, "\n"))
	default:
		condition.Status, condition.Reason = metav1.ConditionTrue, mirrorsetv1alpha1.ReasonInForce
		condition.Message = fmt.Sprintf("all rules of revision %d are in force", o.Revision)
	}
	return condition
}

// distinct leaves out the lines that are there already, as where several steps failed for one cause.
func distinct(message string) string {
	var lines []string
	for line := range strings.SplitSeq(message, "\n") {
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// shorten cuts a message where the API server would refuse it.
func shorten(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + "..."
}

// notInForce returns all sources that the findings say are not in force for a runtime, or, where it is not known which one the
// node has, for any; in byte order. Those that are longer than any image's name (Q5) keep no image from its mirrors, and a status
// has no room for them.
func notInForce(findings []sink.Finding, runtime nodecheck.Runtime) (sources []string) {
	for _, f := range findings {
		if runtime == "" || f.Runtime == runtime {
			sources = append(sources, f.Sources...)
		}
	}
	sources = slices.DeleteFunc(sources, func(source string) bool { return len(source) > mirrors.MaxNameLength })
	slices.Sort(sources)
	return slices.Compact(sources)
}

// trialBeside returns the trial for the node's status, given the present status. A restarted agent knows nothing of the trial of rules that are still
// in force.
func (o Outcome) trialBeside(before mirrorsetv1alpha1.MirrorNodeStatus) *mirrorsetv1alpha1.Trial {
	was := before.Trial
	if o.Trial != nil || was == nil || was.State == mirrorsetv1alpha1.TrialRunning || was.Revision != before.Revision || o.Revision == 0 || o.Digest != before.Digest {
		return o.Trial
	}
	kept := *was
	kept.Revision = o.Revision
	return &kept
}
