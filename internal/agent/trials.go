// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/agent/running"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/trial"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// apart is how long a fleet takes to begin its trials, so that it does not ask its registries all at once (docs/semantics.md C9).
const apart = time.Minute

// trialConfig has the trials of the node ask by the sinks that can, and see by those that do.
func (n *node) trialConfig() trial.Config {
	config := trial.Config{
		Running: func() []mirrors.Reference { return running.Images(n.state.host) },
		Delay:   func() time.Duration { return rand.N(apart) }, //nolint:gosec // nobody gains by guessing it
		Changed: n.wake,
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

// trialBeside returns what the node's object is to say of a trial, given what it says now: an agent that was started anew knows nothing of the
// trial of rules that are in force still.
func (o outcome) trialBeside(before mirrorsetv1alpha1.MirrorNodeStatus) *mirrorsetv1alpha1.Trial {
	was := before.Trial
	if o.trial != nil || was == nil || was.State == mirrorsetv1alpha1.TrialRunning || was.Revision != before.Revision || o.revision == 0 || o.digest != before.Digest {
		return o.trial
	}
	kept := *was
	kept.Revision = o.revision
	return &kept
}

// setImagesPullable says whether what runs could be pulled again, once images were asked for.
func setImagesPullable(status *mirrorsetv1alpha1.MirrorNodeStatus, now time.Time) {
	t := status.Trial
	if t == nil || t.Images == nil || *t.Images == 0 {
		meta.RemoveStatusCondition(&status.Conditions, mirrorsetv1alpha1.ConditionImagesPullable)
		return
	}
	condition := metav1.Condition{
		Type: mirrorsetv1alpha1.ConditionImagesPullable, Status: metav1.ConditionTrue, Reason: mirrorsetv1alpha1.ReasonPullable, LastTransitionTime: metav1.Time{Time: now.Truncate(time.Second)},
		Message: fmt.Sprintf("of the images that run here, the last change of rules touched %d; each can be pulled again as far as it could be before", *t.Images),
	}
	if t.Unpullable != nil && *t.Unpullable > 0 {
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, mirrorsetv1alpha1.ReasonUnpullable, shorten(t.Message)
	}
	meta.SetStatusCondition(&status.Conditions, condition)
}
