// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"fmt"
	"slices"
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
	isTried  bool      // by canaries, so that the change may not continue yet
	findings *findings // nil until the images were asked for
}

// findings are what is known of the images that run.
type findings struct {
	probe.Result
	isUnseen bool // what runs cannot be seen
}

// touched is how many images of those that run the change touches.
func (f *findings) touched() int { return f.Asked + f.NotAsked }

// isNothingTried reports whether no image could be asked for of those that should have been.
func (f *findings) isNothingTried() bool { return f.isUnseen || f.Asked == 0 && f.NotAsked > 0 }

// isFinal reports whether it would come to the same to ask again.
func (f *findings) isFinal() bool { return !f.isNothingTried() && len(f.Lost) == 0 }

func (f *findings) equal(g *findings) bool {
	return f.Asked == g.Asked && f.NotAsked == g.NotAsked && f.isUnseen == g.isUnseen && slices.Equal(f.Lost, g.Lost)
}

// goOn continues the trial under another revision of the same rules, or after canaries have tried them.
func (t *trial) goOn(revision int64, isTried bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.revision, t.state.isTried = revision, isTried
}

// found tells of findings that are others than before.
func (t *trial) found(f findings) {
	t.mu.Lock()
	isNew := t.state.findings == nil || !t.state.findings.equal(&f)
	t.state.findings = &f
	t.mu.Unlock()
	if isNew {
		t.config.Changed()
	}
}

// report returns what the state is for others; nil while there is nothing to tell. Only of a canary somebody waits to know that it still asks.
func (t *trial) report() *mirrorsetv1alpha1.Trial {
	t.mu.Lock()
	s := t.state
	t.mu.Unlock()
	failed := t.config.FailedPulls(sink.Change{Touched: t.change.TouchesRepository, Before: t.base, After: t.digest, At: t.since, IsTried: s.isTried})
	if !t.isCanary && s.findings == nil && failed.More == 0 {
		return nil
	}
	report := &mirrorsetv1alpha1.Trial{Revision: s.revision, State: mirrorsetv1alpha1.TrialRunning, FailedPulls: count(failed.More)}
	var said []string
	if f := s.findings; f != nil {
		report.State, report.Images, report.NotAsked, report.Unpullable = mirrorsetv1alpha1.TrialPassed, count(f.Asked), count(f.NotAsked), count(len(f.Lost))
		said = t.ofImages(f)
		if !f.isFinal() {
			report.State = mirrorsetv1alpha1.TrialFailed
		}
	}
	if failed.More > 0 {
		report.State, said = mirrorsetv1alpha1.TrialFailed, append(said, ofPulls(failed))
	}
	report.Message = strings.Join(said, "; ")
	return report
}

// ofPulls says how many more failed, and which were the last.
func ofPulls(failed sink.FailedPulls) string {
	return fmt.Sprintf("of the pulls that the change affects, %d more failed than in the same time before the change (at most ten minutes): %s", failed.More, strings.Join(failed.Last, ", "))
}

func count(n int) *int32 {
	n32 := int32(n) //nolint:gosec // a few
	return &n32
}

// ofImages says what was tried: it names what was lost, and counts what was not asked for.
func (t *trial) ofImages(f *findings) (said []string) {
	switch {
	case f.isUnseen:
		return []string{t.config.Unseen}
	case f.isNothingTried():
		return []string{fmt.Sprintf("nothing was tried: the change affects %s that %s, but no registry answered in time", images(f.NotAsked), runsHere(f.NotAsked))}
	case f.touched() == 0:
		return []string{"nothing was tried: no container was found that runs an image which the change affects"}
	}
	if len(f.Lost) > 0 {
		said = append(said, fmt.Sprintf("%s that %s could not be pulled again: %s", images(len(f.Lost)), runsHere(len(f.Lost)), named(f.Lost)))
	}
	if f.NotAsked > 0 {
		said = append(said, fmt.Sprintf("%s that the change affects %s not checked, because a trial is limited in number and time", images(f.NotAsked), map[bool]string{true: "was", false: "were"}[f.NotAsked == 1]))
	}
	return said
}

func runsHere(n int) string {
	return map[bool]string{true: "runs here", false: "run here"}[n == 1]
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
