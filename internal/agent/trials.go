// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"math/rand/v2"
	"time"

	"github.com/mirrorset/mirrorset/internal/agent/running"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/trial"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// apart is how long a fleet takes to begin its trials, so that its nodes do not contact registries all at the same time (docs/reference/semantics.md
// C9).
const apart = time.Minute

// unseen names the folders where the containers of a node should be. An agent in a Pod is such a container itself.
const unseen = "nothing was tried: no container was found below /" + running.ContainerdDir + " or /" + running.CRIODir + " of the agent's host, not even its own. It is unknown " +
	"which images run here, because the runtime stores them elsewhere or is not supported; as canaries, use nodes whose containers the agent can see, or use no canaries"

// trialConfig has the trials of the node ask by the sinks that can, and see by those that do.
func (n *node) trialConfig() trial.Config {
	config := trial.Config{
		Running: func() ([]mirrors.Reference, int) { return running.Images(n.state.host) },
		Delay:   func() time.Duration { return rand.N(apart) }, //nolint:gosec // nobody gains by guessing it
		Changed: n.wake,
	}
	if n.isInPod {
		config.Unseen = unseen
	}
	for _, s := range n.sinks {
		if asker, ok := s.(sink.Asker); ok {
			config.Ask = asker.Ask
		}
		if witness, ok := s.(sink.Witness); ok {
			config.FailedPulls = witness.FailedPulls
		}
	}
	return config
}
