// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sink is all that the agent's loop knows of the runtimes that it serves: each is a sink, in a room of its own, that puts
// accepted rules in force by files of its own below the host's root. Which there are stands in internal/agent/runtimes.
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

// Sink is what one runtime reads the rules from. Paths are below the host's root, and nothing here is called twice at once.
type Sink interface {
	// Try makes of the rules what is to be written beside the files of others, and changes nothing. It fails where that would harm
	// this host, which refuses the rules; else apply writes it.
	Try(rules *Accepted) (apply func() Outcome, err error)
	// Describe adds what the check of the host's runtimes has to know of this one.
	Describe(node *nodecheck.Node)
	// Lost tells why what is written no longer reaches the host until the agent's container is started anew; nil where it does.
	Lost() error
	// Files is where files of ours may be, for people, with * for any name.
	Files() string
	// Owned returns the files that are ours, or that a killed agent began to write.
	Owned() ([]string, error)
	// Folders are to be watched: what changes in them may call for another pass.
	Folders() []string
	// FileFolders are those that there are for files of ours alone, as the last pass left them. They are to be watched, too, as far as the host lets us.
	FileFolders() []string
	// Clean removes all files of ours.
	Clean() error
}

// Server is a sink whose files lead to a process of the agent. It serves also while another agent of this host is the one that
// writes.
type Server interface {
	// Follow has all further requests answered by these rules, before any file leads to that.
	Follow(rules *Accepted)
	// Serve starts to serve, if this host wants that and it does not serve yet. A failure is told by what is applied next.
	Serve(ctx context.Context)
	// Close ends serving.
	Close() error
}

// Asker is a sink that can ask registries as the runtimes of its host do. Its method may be called at any time, from anywhere.
type Asker interface {
	// Ask asks a place whether it has a manifest, which a tag or a digest names. A mirror of the rules is asked with what it is granted, an
	// image's source with nothing, and nobody is asked where those rules block.
	Ask(ctx context.Context, at route.Target, manifest string, isSource bool) route.Answer
}

// Witness is a sink that sees pulls fail.
type Witness interface {
	// FailedPulls compares the pulls that failed since a change of the rules with those before it, of the images that it touches (C10 of
	// docs/reference/semantics.md). From the first call for a change on, which is to come as soon as the change is followed, the sink has the agent do another pass
	// when what it would return has become worse. It may be called at any time, from anywhere.
	FailedPulls(change Change) FailedPulls
}

// Recorder is a sink that keeps a record of pulls. Its method may be called at any time, from anywhere.
type Recorder interface {
	// AccessLog returns the record; an error says why this host's pulls are not seen.
	AccessLog() (*accesslog.Log, error)
}

// Change is one of the rules that a node follows.
type Change struct {
	// Touched reports whether it touches images of a repository. It must not call the sink.
	Touched func(host, repository string) bool
	// Before and After are the digests of the rules that it leads from and to. What failed by any others counts as nothing.
	Before, After string
	// At is when those that it leads to came into force.
	At time.Time
	// IsTried says that it is still to be seen whether the change may go on. Otherwise, what fails later than ten minutes after it counts as nothing.
	IsTried bool
}

// FailedPulls are those since a change and in as much time before it, but ten minutes at most, at their worst so far. What is counted, so that
// it is the same on both sides, is for the sink to say.
type FailedPulls struct {
	// Refused are images that could be had from nowhere, and PassedOver mirrors that failed, for a repository each.
	Refused, PassedOver Count
	// More is how many more failed than before; 0 where no more did.
	More int
	// Last are the last of these, in words.
	Last []string
	// Known is how much of the time before the change is known; what failed in all else of it counts as nothing.
	Known time.Duration
}

// Count is how many failed.
type Count struct{ Before, After int }

// Observer is a sink that sees the pulls of a runtime.
type Observer interface {
	// Observed returns what it has seen of pulls (V5 and V7 of docs/reference/semantics.md). The sink has the agent do another pass when a mirror comes to be at
	// fault or is no longer, and when there is a first image of a source that would be refused; all else is for the pass of each minute. It is called
	// between passes.
	Observed(now time.Time) Observed
}

// Observed is what a sink has seen of pulls.
type Observed struct {
	// Runtime is the one whose pulls it sees; "" while it sees none.
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
	// State is one of those that a MirrorNode has, and Since when it began.
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

// Env is what a sink has to work with.
type Env struct {
	Host *hostfile.Host
	Log  logr.Logger
	// Runtime is the one that the kubelet uses; "" while that is not known.
	Runtime func() nodecheck.Runtime
	// Wake asks for another pass, as where what the sink would report has changed. It may be called at any time, from anywhere.
	Wake func()
	// Repairs counts the repairs of files, by their kind: see [Env.Drift].
	Repairs *prometheus.CounterVec
	// Metrics takes what else a sink counts.
	Metrics prometheus.Registerer
}

// Accepted is a payload that passed every check, with the rules in it, and what their mirrors are granted beside them.
type Accepted struct {
	payload.Payload
	Rules  []mirrors.Rule
	Grants grants.Grants
}

// Outcome is what became of rules that were applied.
type Outcome struct {
	// Findings are about sources that are not in force.
	Findings []Finding
	// Problems are about all else, beside what the check of the host's runtimes finds.
	Problems []nodecheck.Problem
	// Again is what is to be tried again of that which the findings say; nil for nothing.
	Again error
	// Err says that not all was written.
	Err error
}

// Reason names what is odd on this node.
type Reason string

// Finding is one thing that is odd on this node.
type Finding struct {
	Reason  Reason
	Message string
	// Runtime is the one concerned.
	Runtime nodecheck.Runtime
	// Sources are those that are not in force for it, as they are in the rules.
	Sources []string
}
