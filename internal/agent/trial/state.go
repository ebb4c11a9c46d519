// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"fmt"
	"strings"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/agent/probe"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
)

// maxMessage bounds what is said of lost images, in bytes; the others are counted.
const maxMessage = 3 << 10

// state is how far a trial is.
type state struct {
	revision int64
	isOn     bool          // there is something to tell, as on a canary, which is waited for
	result   *probe.Result // nil until the images were asked for
}

// renumber has the trial go on under another revision of the same rules.
func (t *trial) renumber(revision int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.revision = revision
}

func (t *trial) found(result probe.Result) {
	t.update(func(s *state) { s.result = &result })
}

func (t *trial) update(change func(*state)) {
	t.mu.Lock()
	change(&t.state)
	t.mu.Unlock()
	t.config.Changed()
}

// report returns what the state is for others; nil while there is nothing to tell.
func (t *trial) report() *mirrorsetv1alpha1.Trial {
	t.mu.Lock()
	s := t.state
	t.mu.Unlock()
	failed := t.config.FailedPulls(t.change.TouchesRepository, t.since)
	if !s.isOn && failed.More == 0 {
		return nil
	}
	report := &mirrorsetv1alpha1.Trial{Revision: s.revision, State: mirrorsetv1alpha1.TrialRunning, FailedPulls: count(failed.More)}
	var said []string
	if s.result != nil {
		report.State, report.Images, report.Unpullable = mirrorsetv1alpha1.TrialPassed, count(s.result.Asked), count(len(s.result.Lost))
		said = ofImages(*s.result)
	}
	if failed.More > 0 {
		said = append(said, ofPulls(failed))
	}
	if failed.More > 0 || s.result != nil && len(s.result.Lost) > 0 {
		report.State = mirrorsetv1alpha1.TrialFailed
	}
	report.Message = strings.Join(said, "; ")
	return report
}

// ofPulls says how many more failed, and which were the last.
func ofPulls(failed sink.FailedPulls) string {
	return fmt.Sprintf("of the pulls that the change touches, %d more failed than in as much time before it: %s", failed.More, strings.Join(failed.Last, ", "))
}

func count(n int) *int32 {
	n32 := int32(n) //nolint:gosec // a few
	return &n32
}

// ofImages names what was lost, and counts what was not asked for.
func ofImages(r probe.Result) (said []string) {
	if len(r.Lost) > 0 {
		said = append(said, fmt.Sprintf("%s that %s could not be pulled again: %s", images(len(r.Lost)), map[bool]string{true: "runs here", false: "run here"}[len(r.Lost) == 1], named(r.Lost)))
	}
	if r.NotAsked > 0 {
		said = append(said, fmt.Sprintf("%s that the change touches %s not asked for, because a trial is bounded in number and time", images(r.NotAsked), map[bool]string{true: "was", false: "were"}[r.NotAsked == 1]))
	}
	return said
}

func images(n int) string {
	if n == 1 {
		return "1 image"
	}
	return fmt.Sprintf("%d images", n)
}

// named has as many images as there is room for.
func named(lost []probe.Lost) string {
	var text strings.Builder
	for i, l := range lost {
		one := fmt.Sprintf("%s (%s)", l.Image, l.Why)
		if i > 0 && text.Len()+len(one) > maxMessage {
			fmt.Fprintf(&text, ", and %d more", len(lost)-i)
			break
		}
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(one)
	}
	return text.String()
}
