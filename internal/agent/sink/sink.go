// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sink is the view that the agent's loop has of the runtimes that it serves. Each runtime is a sink, in a room of its own, that puts accepted
// rules in force with its own files below the host's root. internal/agent/runtimes lists the sinks.
package sink

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/route"
)

// Sink is where one runtime reads the rules. Paths are below the host's root, and no method is called concurrently with another.
type Sink interface {
	// Try prepares the files for the rules together with the files of others, and changes nothing. It fails if the files would harm this host, which
	// refuses the rules. Otherwise, apply writes them.
	Try(rules *Accepted) (apply func() Outcome, err error)
	// Describe adds the facts about this runtime that the check of the host's runtimes needs.
	Describe(node *nodecheck.Node)
	// Lost returns why the written files no longer reach the host until the agent's container restarts; nil if they do.
	Lost() error
	// Files is where files of ours may be, for people, with * for any name.
	Files() string
	// Owned returns the files that are ours, or that a killed agent began to write.
	Owned() ([]string, error)
	// Folders are the folders to watch: a change in them may require another pass.
	Folders() []string
	// FileFolders are the folders that exist only for files of ours, as the last pass left them. They are also watched, as far as the host allows.
	FileFolders() []string
	// Clean removes all files of ours.
	Clean() error
}

// Server is a sink whose files lead to a process of the agent. It also serves while another agent of this host writes the files.
type Server interface {
	// Follow makes the server answer all further requests by these rules, before any file leads to an answer.
	Follow(rules *Accepted)
	// Serve starts to serve, if this host needs that and it does not serve yet. The next outcome reports a failure.
	Serve(ctx context.Context)
	// Close ends serving.
	Close() error
}

// Asker is a sink that can contact registries as the runtimes of its host do. Its method may be called at any time, from anywhere.
type Asker interface {
	// Ask requests a manifest, by tag or digest, from a place and reports if the place has it. For a mirror of the rules it uses the mirror's grants,
	// for an image's source none. It contacts no place that those rules block.
	Ask(ctx context.Context, at route.Target, manifest string, isSource bool) route.Answer
}

// Witness is a sink that sees pulls fail.
type Witness interface {
	// FailedPulls compares the pulls that failed since a change of the rules with those before it, for the images that the change touches (C10 of
	// docs/reference/semantics.md). The first call for a change should come as soon as the node follows it. From then on, the sink wakes the agent
	// for another pass when the result has become worse. It may be called at any time, from anywhere.
	FailedPulls(change Change) FailedPulls
}

// Recorder is a sink that keeps a record of pulls. Its method may be called at any time, from anywhere.
type Recorder interface {
	// AccessLog returns the record; an error states why this host's pulls are not seen.
	AccessLog() (*accesslog.Log, error)
}

// Change is a change of the rules that a node follows.
type Change struct {
	// Touched reports if the change touches images of a repository. It must not call the sink.
	Touched func(host, repository string) bool
	// Before and After are the digests of the rules before and after the change. Failures under any other rules do not count.
	Before, After string
	// At is when the new rules came into force.
	At time.Time
	// IsTried is true while the decision about the rest of the change is open. Otherwise, failures later than ten minutes after the change do not
	// count.
	IsTried bool
}

// FailedPulls are the failures since a change and in as much time before it, but ten minutes at most, at their worst so far. The sink decides what it
// counts, so that the counts mean the same on both sides.
type FailedPulls struct {
	// Refused counts images that were available nowhere, and PassedOver counts pairs of a repository and a mirror that failed for it.
	Refused, PassedOver Count
	// More is how many more failed than before, and at least 0.
	More int
	// Last describes the last of these, in words.
	Last []string
	// Known is how much of the time before the change is known. Failures in the rest of that time do not count.
	Known time.Duration
}

// Count is how many failed.
type Count struct{ Before, After int }

// Observer is a sink that sees the pulls of a runtime.
type Observer interface {
	// Observed returns what the sink has seen of pulls (V5 and V7 of docs/reference/semantics.md). The sink wakes the agent for another pass when a
	// mirror begins or ceases to be at fault, and when there is a first image of a source that would be refused. The pass of each minute handles all
	// other changes. Observed is called between passes.
	Observed(now time.Time) Observed
}

// Observed is what a sink has seen of pulls.
type Observed struct {
	// Runtime is the runtime whose pulls it sees; "" while it sees none.
	Runtime nodecheck.Runtime
	// Faults are mirrors that cannot be pulled from, in byte order.
	Faults []MirrorFault
	// WouldRefuse are the watched sources that images were pulled from, in byte order.
	WouldRefuse []WouldRefuse
}

// MirrorFault is a mirror that cannot be pulled from.
type MirrorFault struct {
	// Mirror is its location, as in the rules.
	Mirror mirrors.Scope
	// State is a state of a MirrorNode's faults, and Since is when it began.
	State string
	Since time.Time
	// Why is on one line; it may be empty.
	Why string
}

// WouldRefuse is what a watched source would have refused.
type WouldRefuse struct {
	Source mirrors.Scope
	// Count is how many different images, and Images are ten of them, in byte order.
	Count  int
	Images []string
}

// Open makes a sink for a host.
type Open func(Env) Sink

// Env is the environment of a sink.
type Env struct {
	Host *hostfile.Host
	Log  logr.Logger
	// Runtime is the runtime that the kubelet uses; "" while it is unknown.
	Runtime func() nodecheck.Runtime
	// Wake requests another pass, for example if the sink has news to report. It may be called at any time, from anywhere.
	Wake func()
	// Repairs counts the repairs of files, by their kind: see [Env.Drift].
	Repairs *prometheus.CounterVec
	// Metrics registers the other metrics of a sink.
	Metrics prometheus.Registerer
}

// Accepted is a payload that passed every check, with its rules, and the grants of their mirrors.
type Accepted struct {
	payload.Payload
	Rules  []mirrors.Rule
	Grants grants.Grants
}

// Outcome is the result of applying rules.
type Outcome struct {
	// Findings are about sources that are not in force.
	Findings []Finding
	// Problems are the other problems, in addition to those of the check of the host's runtimes.
	Problems []nodecheck.Problem
	// Again is the part of the findings that must be retried; nil if there is none.
	Again error
	// Err means that not everything was written.
	Err error
}

// Reason names a problem on this node.
type Reason string

// Finding is one problem on this node.
type Finding struct {
	Reason  Reason
	Message string
	// Runtime is the runtime concerned.
	Runtime nodecheck.Runtime
	// Sources are the sources that are not in force for it, as in the rules.
	Sources []string
}
