// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// withoutAgent is for a node that Mirrorset does not serve.
func withoutAgent(v *view) (*Finding, bool) {
	if v.Node.Unknown != "" || v.Node.HasAgent {
		return nil, false
	}
	return &Finding{
		Cause: NoAgent, Message: fmt.Sprintf("Mirrorset does not serve node %s, so the node's runtime knows no mirrors of the sets; %s%s", v.Node.Name, noPart, v.sayText()),
		Remedy: "If the node should follow the sets, find out why it has no agent: check its label mirrorset.io/agent, and --agent-node-selector and --agent-tolerations of the manager.",
	}, true
}

// heldBack is for rules of the image that the node is not to have yet.
func heldBack(v *view) (*Finding, bool) {
	if v.Hold == "" || !v.Sets.Known || !v.InForce.Known || !v.Sets.Differs(v.InForce.Resolution) {
		return nil, false
	}
	return &Finding{
		Cause: HeldBack, Message: fmt.Sprintf("the sets have changed, but node %s should not have the change yet: %s", v.Node.Name, v.Hold),
		Remedy: cmp.Or(v.HoldRemedy, "Wait for it: kubectl mirrors rollout status"),
	}, false
}

// withoutRules is for an image that no set has a say about.
func withoutRules(v *view) (*Finding, bool) {
	if !v.rules().Known || v.rules().Rule != nil || v.missedAgent() {
		return nil, false
	}
	message := "no set has a source for this image; " + noPart
	remedy := "Correct the image reference, or repair its registry. If a set names a mirror for its source, nodes try the mirror first."
	if v.Sets.Known && v.Sets.Rule != nil {
		message, remedy = "the node should have no rule for the image", ""
	}
	for _, a := range v.answers {
		if a.isSource && a.state == refusing {
			remedy = sourceLogin
		}
	}
	return &Finding{Cause: NoRule, Message: message + v.sayText(), Remedy: remedy}, true
}

// lagging is for a node whose rules differ from the rules that it should have, or whose agent does not report.
func lagging(v *view) (*Finding, bool) {
	why := cmp.Or(v.Node.Lags, v.Node.Away)
	if why == "" {
		return nil, false
	}
	return &Finding{
		Cause: NodeLags, Message: fmt.Sprintf("it is unknown if node %s has the published rules: %s", v.Node.Name, why),
		Remedy: "kubectl mirrors doctor " + v.Node.Name,
	}, false
}

// unread is for a runtime that does not read the rules. Where the redirector saw the attempt, it does.
func unread(v *view) (*Finding, bool) {
	if v.Node.Unread == "" || v.pull != nil {
		return nil, false
	}
	return &Finding{
		Cause: RuntimeNotReady, Message: fmt.Sprintf("the runtime of node %s does not read the rules, so it contacts the source directly%s", v.Node.Name, v.sayText()),
		Remedy: "On the node: " + v.Node.Unread + "\nSee docs/how-to/node-setup.md.",
	}, true
}

// notInForce is for a source whose rules the node cannot have.
func notInForce(v *view) (*Finding, bool) {
	if v.Node.NotInForce == "" {
		return nil, false
	}
	return &Finding{
		Cause: NotInForce, Message: fmt.Sprintf("the rules of %s are not in force on node %s: %s%s", v.source(), v.Node.Name, v.Node.NotInForce, v.sayText()),
		Remedy: "kubectl mirrors doctor " + v.Node.Name,
	}, true
}

// cannotRewrite is for what CRI-O and Podman fail to do by the rules (docs/reference/semantics.md Q2, Q3).
func cannotRewrite(v *view) (*Finding, bool) {
	if !v.rules().Known || v.rules().Fails == "" {
		return nil, false
	}
	return &Finding{
		Cause: InvalidRewrite, Message: fmt.Sprintf("the rules of %s make the runtime of node %s fail every pull of the image: %s", v.source(), v.Node.Name, v.rules().Fails),
		Remedy: "kubectl mirrors explain-finding InvalidRewrite\nkubectl mirrors explain --runtime crio " + v.Image.String(),
	}, true
}

// withoutMirrors is for a blocked source without a usable mirror.
func withoutMirrors(v *view) (*Finding, bool) {
	rules := v.rules()
	switch {
	case !rules.Known || !rules.Blocked:
		return nil, false
	case rules.Rule.NoneServes(v.Image.Mode):
		return &Finding{
			Cause: BlockedForGood, Message: fmt.Sprintf("%s is blocked%s, and its only mirrors cannot exist, so the set refuses its images on purpose", v.source(), v.by()),
			Remedy: "Use an image from another registry, or ask for a change of the set.",
		}, true
	case len(rules.Rule.MirrorsFor(v.Image.Mode)) > 0:
		return nil, false
	case v.Image.Mode == mirrors.ByDigest:
		return &Finding{
			Cause: BlockedDigest, Message: fmt.Sprintf("%s is blocked%s and has no mirror for digests, and the image reference has a digest, so nodes cannot pull it", v.source(), v.by()),
			Remedy: "Name a mirror in an ImageDigestMirrorSet" + v.example("ImageDigestMirrorSet", "imageDigestMirrors"),
		}, true
	}
	return &Finding{
		Cause: BlockedTag, Message: fmt.Sprintf("%s is blocked%s and has no mirror for tags, and the image reference has a tag, so nodes cannot pull it", v.source(), v.by()),
		Remedy: "Use a digest in the image reference of the Pod, or push the tag to a mirror and name that mirror in an ImageTagMirrorSet" + v.example("ImageTagMirrorSet", "imageTagMirrors"),
	}, true
}

// example is a set with the mirrors for the other kind of reference.
func (v *view) example(kind, list string) string {
	rule := v.rules().Rule
	if len(rule.Mirrors) == 0 {
		return "."
	}
	var text strings.Builder
	fmt.Fprintf(&text, ", for example:\n\napiVersion: config.openshift.io/v1\nkind: %s\nmetadata:\n  name: NAME\nspec:\n  %s:\n  - source: %q\n    mirrors:\n", kind, list, rule.Source)
	for _, m := range rule.Mirrors {
		fmt.Fprintf(&text, "    - %s\n", m.Location)
	}
	text.WriteString("    mirrorSourcePolicy: NeverContactSource")
	return text.String()
}

// agentAway is for a runtime that found nothing listening on the redirector's port. The runtime then contacts the places that follow the
// redirector by itself. If there are any, the missing agent is not the only cause. containerd 1.7 reports the first result that is not 404,
// whatever the other places answered.
func agentAway(v *view) (*Finding, bool) {
	if !v.missedAgent() {
		return nil, false
	}
	answers := v.Log.Unknown == "" // now
	message := v.when() + "the runtime of node " + v.Node.Name + " could not reach the agent on its node, which it contacts first for images of " + mirrors.Scope(v.Image.Name).Host()
	away := fmt.Sprintf("kubectl -n %s get pods -l app.kubernetes.io/component=agent --field-selector spec.nodeName=%s", v.Installed, v.Node.Name)
	behind := v.rules().Behind
	switch {
	case v.rules().Known && len(behind) == 0 && answers:
		return &Finding{Cause: Mended, Message: message + "; the agent answers now, so the problem may be over", Remedy: again}, true
	case v.rules().Known && len(behind) == 0:
		return &Finding{Cause: AgentAway, Message: message, Remedy: away}, true
	case len(behind) == 0:
		message += "; it is unknown if the runtime may contact other places without the agent"
	default:
		message += "; the places that it contacts without the agent (" + strings.Join(behind, ", ") + ") did not provide the image either, for an unknown reason"
	}
	check := "To see which place has the image, run: kubectl mirrors check --source " + v.Image.String()
	if answers {
		return &Finding{Cause: Undecided, Message: message, Remedy: check + "\nThe agent answers now and will see the next attempt. Run this command again after that. " + again}, true
	}
	return &Finding{Cause: AgentAway, Message: message, Remedy: away + "\n" + check}, true
}

// missedAgent reports whether the runtime, by its own message, found nothing listening on the redirector's port.
func (v *view) missedAgent() bool {
	text := v.nameless(v.text)
	_, isRedirector := hostOf(v.text)
	return v.pull == nil && read(text) == unreachable && (isRedirector || strings.Contains(text, "127.0.0.1:0"))
}

// beforeTheRules is for an attempt that shows nothing about the node's current rules.
func beforeTheRules(v *view) (*Finding, bool) {
	at := v.at()
	isOld := !at.IsZero() && v.Node.AppliedAt.After(at.Add(slack)) && !v.wentByTheRules()
	isOther := v.rules().Known && !v.rules().Blocked && read(v.nameless(v.text)) == blocked && !strings.Contains(v.text, "(Mirrors also failed: ")
	if !isOld && !isOther {
		return nil, false
	}
	message := "the last attempt was refused because the source was blocked, but the source is no longer blocked"
	if isOld {
		message = fmt.Sprintf("the last attempt, %s, failed before node %s got its current rules at %s; no attempt has used these rules yet",
			clock(at), v.Node.Name, clock(v.Node.AppliedAt))
	}
	return &Finding{Cause: RulesChanged, Message: message, Remedy: again}, true
}

const again = "The kubelet tries again by itself, within five minutes of its last attempt. To try immediately, replace the Pod with a new one."

// wentByTheRules reports whether the redirector led the attempt as the current rules would. The earlier rules then differed only in other
// sources.
func (v *view) wentByTheRules() bool {
	if v.pull == nil || !v.rules().Known || (v.pull.Refusal != "") != v.rules().Blocked {
		return false
	}
	for _, s := range v.rules().PullSources {
		if !v.isSource(s) && !slices.ContainsFunc(v.pull.Tries, func(t accesslog.Tries) bool { return t.Place == v.placeOf(s) }) {
			return false
		}
	}
	return !slices.ContainsFunc(v.pull.Tries, func(t accesslog.Tries) bool { return !t.Source && !v.names(t.Place) })
}
