// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package agent puts the published rules in force on one node. It watches the one ConfigMap and verifies its content. Each sink then tries the rules
// together with the host's own files, writes them, and repairs them. The agent keeps the payload that it last accepted on the host. An unreachable
// API server or a broken payload therefore changes nothing on the node. The agent does not depend on any particular runtime.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorset/mirrorset/internal/agent/granted"
	"github.com/mirrorset/mirrorset/internal/agent/nodestatus"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// Run keeps the node up to date with the ConfigMap until the context ends. It waits for another agent on the same host to end first, and serves next
// to that agent meanwhile. If it ends because Mirrorset is being uninstalled, it leaves a clean node.
func Run(ctx context.Context, config Config) (err error) {
	host, err := hostfile.Open(config.HostRoot)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	n := newNode(host, config.Log, config.Sinks, config.Metrics)
	n.restore()
	n.sinks.serve(ctx)
	defer func() { err = errors.Join(err, n.sinks.close()) }()
	defer n.tell(config.Socket)()
	config.Started()
	if config.Manager == "" {
		return n.run(ctx, config, func(context.Context) string { return "" })
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx)) // past the end of what the agent does otherwise
	defer stop()
	return n.run(ctx, config, followOwner(following, config, n.sinks.files()).uninstalled)
}

// run does what only one agent of a host may do at a time.
func (n *node) run(ctx context.Context, config Config, uninstalled func(context.Context) (why string)) (err error) {
	why := ""
	unlock, err := n.lock(ctx, config)
	if errors.Is(err, context.Canceled) { // told to end before it was its turn
		after := context.WithoutCancel(ctx)
		if why = uninstalled(after); why == "" {
			return nil
		}
		bounded, cancel := context.WithTimeout(after, cleanUp)
		defer cancel()
		unlock, err = n.lock(bounded, config)
	}
	if err != nil {
		return fmt.Errorf("waiting to be the only agent on this host: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if why == "" {
		if err := watch(ctx, config, n); err != nil || ctx.Err() == nil {
			return err
		}
		if why = uninstalled(context.WithoutCancel(ctx)); why == "" {
			return nil
		}
	}
	n.log.Info("Mirrorset is being uninstalled; cleaning this node", "cause", why)
	return n.clean()
}

// node is the state of one host.
type node struct {
	state *state
	log   logr.Logger
	sinks sinks
	// runtimeVersion is what the Node says of its container runtime; empty while that is not known.
	runtimeVersion func() string
	revision       prometheus.Gauge
	wakes          chan struct{} // has the loop do another pass, now or once it runs
	granted        *granted.Follower
	grantProblems  []nodecheck.Problem // with what is granted, as of the last look

	accepted *sink.Accepted  // nil until a payload was accepted
	since    time.Time       // when its rules were
	inForce  payload.Payload // the last one that was written completely, without its text
	findings []sink.Finding  // of the last pass
	again    error           // what is to be tried again of that which they say is not in force
	checked  nodecheck.Report
	// notWatched is what keeps the host's files from being watched; nil where nothing does.
	notWatched *nodecheck.Problem
	isInPod    bool
	logged     string // the last findings, so that each is logged once
}

func newNode(host *hostfile.Host, log logr.Logger, open []sink.Open, metrics prometheus.Registerer) *node {
	n := &node{state: &state{host: host, log: log}, log: log, runtimeVersion: func() string { return "" }, revision: newRevision(metrics),
		wakes: make(chan struct{}, 1), granted: granted.New(host, log)}
	env := sink.Env{
		Host: host, Log: log, Repairs: newRepairs(metrics), Metrics: metrics,
		Runtime: func() nodecheck.Runtime { return nodecheck.RuntimeOf(n.runtimeVersion()) },
		Wake:    n.wake,
	}
	for _, open := range open {
		n.sinks = append(n.sinks, open(env))
	}
	return n
}

// wake asks for another pass.
func (n *node) wake() {
	select {
	case n.wakes <- struct{}{}:
	default: // it is to do one already
	}
}

// restore takes what an earlier agent accepted on this host (N6).
func (n *node) restore() {
	n.granted.Restore()
	n.look()
	restored, err := n.state.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		n.log.Error(err, "Not using the saved state of an earlier agent", "path", "/"+statePath)
	default:
		restored.Grants = n.granted.Granted()
		n.accept(restored)
		n.log.Info("Restored the rules that an earlier agent accepted", "revision", restored.Revision, "digest", restored.Digest)
	}
}

// take puts a published payload in force if it is newer than the accepted one, readable, and no harm to the host's other
// files. With an error, what was accepted before stays accepted.
func (n *node) take(p payload.Payload) (taken bool, err error) {
	if news, err := n.isNews(p); err != nil || !news {
		return false, err
	}
	next, err := decode(p)
	if err != nil {
		return false, fmt.Errorf("revision %d: %w", p.Revision, err)
	}
	next.Grants = n.granted.Granted()
	apply, err := n.sinks.try(next)
	if err != nil {
		return false, fmt.Errorf("revision %d: %w", p.Revision, err)
	}
	if err := n.state.keep(p); err != nil {
		return false, err
	}
	n.accept(next)
	return true, n.write(apply, true)
}

// accept has what serves answer by the new rules before any file leads to it.
func (n *node) accept(next *sink.Accepted) {
	if n.accepted == nil || n.accepted.Digest != next.Digest {
		n.since = time.Now()
	}
	n.accepted = next
	n.revision.Set(float64(next.Revision))
	n.sinks.follow(next)
}

// look has the accepted rules go with what mirrors are granted now.
func (n *node) look() {
	problems, changed := n.granted.Look(time.Now())
	n.grantProblems = problems
	if changed && n.accepted != nil {
		next := *n.accepted // which those that serve are reading
		next.Grants = n.granted.Granted()
		n.accepted = &next
		n.sinks.follow(n.accepted)
	}
}

// check tells what somebody should change on this node, or about what mirrors are granted.
func (n *node) check() nodecheck.Report {
	checked := n.sinks.check(n.state.host.FS(), n.runtimeVersion())
	problems := n.grantProblems
	if n.accepted != nil {
		problems = slices.Concat(problems, n.granted.Unused(n.accepted.Rules))
	}
	if n.notWatched != nil {
		problems = append(slices.Clone(problems), *n.notWatched)
	}
	for _, p := range problems {
		p.Runtime = nodecheck.RuntimeOf(n.runtimeVersion())
		checked.Problems = append(checked.Problems, p)
	}
	return checked
}

// outcome is what the last pass came to, with its error.
func (n *node) outcome(err error) nodestatus.Outcome {
	if n.accepted == nil { // no pass has looked
		n.checked = n.check()
		n.logFindings()
	}
	return nodestatus.Outcome{
		Revision: n.inForce.Revision, Digest: n.inForce.Digest, Findings: n.findings, Checked: n.checked, Err: err, Observed: n.sinks.observed(time.Now()),
	}
}

// isNews reports if a payload must follow the accepted one; an error states why it never will.
func (n *node) isNews(p payload.Payload) (bool, error) {
	if n.accepted == nil {
		if !payload.Plausible(p.Revision, 0) {
			return false, fmt.Errorf("the agent refuses revision %d, which is out of range", p.Revision)
		}
		return true, nil
	}
	switch have := n.accepted; {
	case p.Digest == have.Digest && p.Revision == have.Revision && len(p.Blockers) > 0 && !maps.Equal(p.Blockers, have.Blockers):
		return true, nil // as after an upgrade: the rules are the same, and the sets that block them have names now
	case p.Digest == have.Digest && p.Revision == have.Revision && !maps.Equal(p.Shadow, have.Shadow):
		return true, nil // the rules are the same, and other sources are watched, or none any more
	case p.Digest == have.Digest && p.Revision <= have.Revision:
		return false, nil
	case p.Provisional && len(have.Rules) > 0:
		n.log.Info("Keeping the rules in force, because the published revision has no rules and is provisional", "revision", p.Revision, "inForce", have.Revision)
		return false, nil
	case p.Revision == have.Revision:
		return false, fmt.Errorf("the agent refuses revision %d: it was published with digest %s before, and now with %s", p.Revision, have.Digest, p.Digest)
	case p.Revision < have.Revision:
		return false, fmt.Errorf("the agent refuses revision %d, which is older than revision %d in force", p.Revision, have.Revision)
	case !payload.Plausible(p.Revision, have.Revision):
		return false, fmt.Errorf("the agent refuses revision %d, which is out of range after revision %d", p.Revision, have.Revision)
	}
	return true, nil
}

// repair makes the host's files match the accepted rules, no matter who changed them.
func (n *node) repair() error {
	if n.accepted == nil {
		return nil
	}
	kept := n.state.keep(n.accepted.Payload)
	apply, err := n.sinks.try(n.accepted)
	return errors.Join(kept, err, n.write(apply, err == nil))
}

// write puts the accepted rules in force for all sinks that they were tried for, and reports what is odd about it. None of them
// stops the others.
func (n *node) write(apply []func() sink.Outcome, all bool) error {
	n.checked = n.check()
	var failed, again []error
	n.findings = nil
	for _, apply := range apply {
		outcome := apply()
		n.findings = append(n.findings, outcome.Findings...)
		n.checked.Problems = append(n.checked.Problems, outcome.Problems...)
		again = append(again, outcome.Again)
		failed = append(failed, outcome.Err)
	}
	n.again = errors.Join(again...)
	n.logFindings()
	err := errors.Join(failed...)
	switch {
	case err != nil && (n.inForce.Revision == n.accepted.Revision || errors.Is(err, hostfile.ErrForeign)):
		n.inForce = payload.Payload{} // what was in force is no more, as where somebody else's file has the place of ours
	case err == nil && all:
		n.inForce = payload.Payload{Revision: n.accepted.Revision, Digest: n.accepted.Digest}
	}
	return err
}

// isWhole reports whether all that was accepted is written.
func (n *node) isWhole() bool {
	return n.accepted != nil && n.inForce.Revision == n.accepted.Revision && n.inForce.Digest == n.accepted.Digest
}

// logFindings logs what is odd if that is not what it was the last time.
func (n *node) logFindings() {
	findings := slices.Clone(n.findings)
	for _, p := range n.checked.Problems {
		findings = append(findings, sink.Finding{Reason: sink.Reason(p.Reason), Message: p.Message + "\n" + p.Remedy, Runtime: p.Runtime})
	}
	if now := fmt.Sprint(findings); now != n.logged {
		n.logged = now
		for _, f := range findings {
			n.log.Info(f.Message, "reason", f.Reason)
		}
	}
}
