// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis_test

import (
	"testing"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/diagnosis"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// What a node has in force counts before what an attempt came to.
func TestWhatIsInForceTellsTheCause(t *testing.T) {
	const direct = `failed to do request: Head "https://quay.io/v2/team/app/manifests/sha256:01": dial tcp 1.2.3.4:443: connect: connection refused`
	const portRefused = `failed to do request: Head "http://127.0.0.1:289/v2/_mirrorset/00112233445566778899aabbccddeeff/0/team/app/manifests/sha256:01?ns=quay.io": dial tcp 127.0.0.1:289: connect: connection refused`
	behind := func(places ...string) func(*diagnosis.Case) {
		return func(c *diagnosis.Case) { c.InForce.Behind = places }
	}
	on := func(change func(n *diagnosis.Node)) func(*diagnosis.Case) {
		return func(c *diagnosis.Case) { change(&c.Node) }
	}
	down := saw("x", try(first, accesslog.Silent, ""), try(second, accesslog.Silent, ""), source(accesslog.Refused))
	held := func(hold, remedy string, now, then []mirrors.Set) func(*diagnosis.Case) {
		return func(c *diagnosis.Case) {
			c.Hold, c.HoldRemedy = hold, remedy
			c.Sets, c.InForce = rules(t, c, now...), rules(t, c, then...)
		}
	}
	for name, tt := range map[string]struct {
		c      diagnosis.Case
		causes []diagnosis.Cause
		texts  []string
	}{
		"a tag without mirrors, blocked": {
			fails(refusal(""), image(byTag), by(t, closed)), []diagnosis.Cause{diagnosis.BlockedTag},
			[]string{`source "quay.io/team" is blocked by 30-airgap and has no mirror for tags`, "kind: ImageTagMirrorSet", "  - source: \"quay.io/team\"\n    mirrors:\n    - first.example:5000/copy\n    - second.example\n    mirrorSourcePolicy: NeverContactSource", "!2026"},
		},
		"the same before any attempt by these rules": {fails(refusal(""), image(byTag), by(t, closed), on(func(n *diagnosis.Node) { n.AppliedAt = at(60) })), []diagnosis.Cause{diagnosis.BlockedTag}, nil},
		"a digest without mirrors, blocked": {
			fails(refusal(""), by(t, tagSet("40-tags", "quay.io/team", mirrors.NeverContactSource, "tags.example"))), []diagnosis.Cause{diagnosis.BlockedDigest},
			[]string{"is blocked by itms/40-tags and has no mirror for digests", "kind: ImageDigestMirrorSet", "- tags.example\n"},
		},
		"blocked for good":                {fails(refusal(", and no mirror can serve it"), by(t, set("50-closed", "quay.io", mirrors.NeverContactSource, "blocked.invalid"))), []diagnosis.Cause{diagnosis.BlockedForGood}, []string{"its only mirrors cannot exist"}},
		"a node without an agent":         {fails(direct, by(t, open), on(func(n *diagnosis.Node) { n.HasAgent = false })), []diagnosis.Cause{diagnosis.NoAgent}, []string{"Mirrorset does not serve node node-1", "mirrors are not involved", "the source could not be reached"}},
		"a node that nobody may see":      {fails(refusal(""), by(t, closed), down, on(func(n *diagnosis.Node) { n.HasAgent, n.Unknown = false, "you may not" })), []diagnosis.Cause{diagnosis.MirrorDown}, nil},
		"a set that was paused":           {fails(lost(byDigest), held("paused by jane", "To go on: resume", []mirrors.Set{open}, nil)), []diagnosis.Cause{diagnosis.HeldBack, diagnosis.NoRule}, []string{"paused by jane", "To go on: resume"}},
		"a set that is on its way":        {fails(lost(byDigest), held("the manager has yet to publish", "", []mirrors.Set{open}, nil)), []diagnosis.Cause{diagnosis.HeldBack, diagnosis.NoRule}, []string{"kubectl mirrors rollout status"}},
		"a set that is not about it":      {fails(refusal(""), held("paused", "", []mirrors.Set{closed, set("60", "other.example", "", "m.example")}, []mirrors.Set{closed}), down), []diagnosis.Cause{diagnosis.MirrorDown}, []string{"!paused"}},
		"a node that is behind":           {fails(refusal(""), by(t, closed), down, on(func(n *diagnosis.Node) { n.Lags = "it has revision 7" })), []diagnosis.Cause{diagnosis.NodeLags, diagnosis.MirrorDown}, []string{"it has revision 7", "kubectl mirrors doctor node-1"}},
		"a node whose agent is silent":    {fails(refusal(""), by(t, closed), down, on(func(n *diagnosis.Node) { n.Away = "its agent is silent" })), []diagnosis.Cause{diagnosis.NodeLags, diagnosis.MirrorDown}, []string{"its agent is silent"}},
		"a runtime that reads no rules":   {fails(direct, by(t, open), on(func(n *diagnosis.Node) { n.Unread = "config_path is not set\nSet it." })), []diagnosis.Cause{diagnosis.RuntimeNotReady}, []string{"does not read the rules, so it contacts the source directly; at the last attempt, 2026-11-29T18:00:50Z, the source could not be reached", "On the node: config_path is not set\nSet it.", "docs/how-to/node-setup.md"}},
		"a runtime that was seen to read": {fails(refusal(""), by(t, closed), down, on(func(n *diagnosis.Node) { n.Unread = "config_path is not set" })), []diagnosis.Cause{diagnosis.MirrorDown}, nil},
		"a source that is not in force":   {fails(direct, by(t, open), on(func(n *diagnosis.Node) { n.NotInForce = "registry quay.io: the folder is not ours" })), []diagnosis.Cause{diagnosis.NotInForce}, []string{"the folder is not ours", "kubectl mirrors doctor node-1"}},
		"an image of no source":           {fails(lost(byDigest), by(t)), []diagnosis.Cause{diagnosis.NoRule}, []string{"no set has a source for this image; mirrors are not involved", "the source did not have it"}},
		"one beside images with rules":    {fails(lost(byDigest), by(t, set("70", "quay.io/other", "", "m.example"))), []diagnosis.Cause{diagnosis.NoRule}, []string{"not found", "!did not have it"}},
		"one that the source refuses": {
			fails("failed to resolve reference: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed", by(t)),
			[]diagnosis.Cause{diagnosis.NoRule}, []string{"the source refused access", "imagePullSecret"},
		},
		"one that the source limits": {fails("unexpected status from HEAD request to https://quay.io/v2/team/app/manifests/sha256:01: 429 Too Many Requests", by(t)), []diagnosis.Cause{diagnosis.NoRule}, []string{"the source had received too many requests", "If a set names a mirror for its source"}},
		"an agent that is away": {
			fails(`failed to do request: Head "http://127.0.0.1:289/v2/_mirrorset/00112233445566778899aabbccddeeff/source/team/app/manifests/sha256:01?ns=quay.io": dial tcp 127.0.0.1:289: connect: connection refused`, by(t, closed), unseen),
			[]diagnosis.Cause{diagnosis.AgentAway}, []string{"could not reach the agent on its node", "--field-selector spec.nodeName=node-1"},
		},
		"an agent that was away": {
			fails(portRefused, by(t, closed)),
			[]diagnosis.Cause{diagnosis.Mended}, []string{"the agent answers now, so the problem may be over"},
		},
		"an agent that was away, with places behind it": {
			fails(portRefused, by(t, closed), behind("mirror "+first, "source quay.io/team/app")), []diagnosis.Cause{diagnosis.Undecided},
			[]string{
				"could not reach the agent on its node", "the places that it contacts without the agent (mirror " + first + ", source quay.io/team/app) did not provide the image either, for an unknown reason",
				"kubectl mirrors check --source " + byDigest, "The agent answers now", "!the problem may be over", "!get pods",
			},
		},
		"an agent that is away, with places behind it": {
			fails(portRefused, by(t, closed), behind("mirror "+first), unseen), []diagnosis.Cause{diagnosis.AgentAway},
			[]string{"(mirror " + first + ") did not provide the image either", "--field-selector spec.nodeName=node-1", "kubectl mirrors check --source " + byDigest, "!answers now"},
		},
		"an agent that was away, by rules that nobody knows": {fails(portRefused), []diagnosis.Cause{diagnosis.Undecided}, []string{"could not reach the agent on its node", "it is unknown if the runtime may contact other places", "kubectl mirrors check --source " + byDigest}},
		"an agent that was away, of an image without rules beside others that have some": {
			fails(portRefused, by(t, set("70", "quay.io/other", mirrors.NeverContactSource, "m.example")), unseen), []diagnosis.Cause{diagnosis.AgentAway}, []string{"for images of quay.io", "!mirrors are not involved"},
		},
		"a registry that is closed while there is no agent": {
			fails(`failed to do request: Head "http://127.0.0.1:0/v2/_mirrorset/source/team/app/manifests/1": dial tcp 127.0.0.1:0: connect: connection refused`, by(t, closed), unseen), []diagnosis.Cause{diagnosis.AgentAway}, nil,
		},
		"an agent that was there": {
			fails(portRefused, by(t, closed), down),
			[]diagnosis.Cause{diagnosis.MirrorDown}, nil,
		},
		"rules that came since": {
			fails(refusal(""), by(t, closed), on(func(n *diagnosis.Node) { n.AppliedAt = at(60) })), []diagnosis.Cause{diagnosis.RulesChanged},
			[]string{"the last attempt, 2026-11-29T18:00:50Z, failed before node node-1 got its current rules at 2026-11-29T18:01:50Z", "The kubelet tries again by itself"},
		},
		"rules that came since, for other sources": {fails(refusal(""), by(t, closed), down, on(func(n *diagnosis.Node) { n.AppliedAt = at(60) })), []diagnosis.Cause{diagnosis.MirrorDown}, nil},
		"rules that came since, with another mirror": {
			fails(refusal(""), by(t, set("30-airgap", "quay.io/team", mirrors.NeverContactSource, "first.example:5000/copy", "second.example", "third.example")), down, on(func(n *diagnosis.Node) { n.AppliedAt = at(60) })),
			[]diagnosis.Cause{diagnosis.RulesChanged}, nil,
		},
		"rules that came since, and block": {
			fails(lost(byDigest), by(t, closed), saw("", try(first, accesslog.Missing, ""), try(second, accesslog.Missing, ""), source(accesslog.Sent)), on(func(n *diagnosis.Node) { n.AppliedAt = at(60) })),
			[]diagnosis.Cause{diagnosis.RulesChanged}, nil,
		},
		"a source that is blocked no more": {fails(refusal(""), by(t, open), unseen, on(func(n *diagnosis.Node) { n.AppliedAt = at(-600) })), []diagnosis.Cause{diagnosis.RulesChanged}, []string{"the source is no longer blocked"}},
		"neither sets nor rules are known": {fails(refusal("")), []diagnosis.Cause{diagnosis.Undecided}, []string{"403 Forbidden", "!00112233"}},
		"the sets alone are known":         {fails(refusal(""), down, func(c *diagnosis.Case) { c.Sets = rules(t, c, closed) }), []diagnosis.Cause{diagnosis.MirrorDown}, nil},
		"a mirror that CRI-O cannot rewrite to": {
			fails("initializing source", crio, by(t, set("80", "quay.io/team/app", "", "m.example:5000"))), []diagnosis.Cause{diagnosis.InvalidRewrite}, []string{"explain --runtime crio"},
		},
	} {
		t.Run(name, func(t *testing.T) { want(t, diagnosis.Diagnose(tt.c), tt.causes, tt.texts...) })
	}
}
