// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
)

// The reasons of the kubelet's events about images.
const (
	eventPulling = "Pulling"
	eventFailed  = "Failed"
	eventPulled  = "Pulled"
)

// attempt is the last failed attempt of the node to get the image, as far as is known.
type attempt struct {
	// text is what the runtime said; empty where that is not known.
	text string
	// began and failed are by the node's clock; zero where nothing tells.
	began, failed time.Time
	// again is when the kubelet began another one, which has not ended; zero where it has not.
	again time.Time
	// pull is what the redirector saw of it; nil where it saw nothing. unseen says that it would have seen what came by it.
	pull   *accesslog.Pull
	unseen bool
}

// at is when it was over; zero where nothing tells.
func (a *attempt) at() time.Time {
	if a.pull != nil && a.pull.Last.After(a.failed) {
		return a.pull.Last
	}
	return a.failed
}

// slack is what times of events and pulls may be apart: an event has whole seconds.
const slack = 2 * time.Second

// late is how long a runtime can continue by itself after the last request of a failing pull that the redirector saw.
const late = 2 * time.Minute

// waits is what the kubelet puts before the message of the last attempt while it waits for the next.
var waits = regexp.MustCompile(`^Back-off pulling image "[^"]*"(: [A-Za-z]+: |$)`)

// findAttempt puts together what the container, the events and the log tell of it.
func (c *Case) findAttempt() attempt {
	var a attempt
	a.text = waits.ReplaceAllString(c.Container.Message, "")
	for _, e := range c.Events {
		switch {
		case e.OfPod:
		case e.Reason == eventPulling && isAbout(e.Message, c.Container.Image):
			a.again = e.At
		case e.Reason == eventFailed && strings.HasPrefix(e.Message, "Failed to pull image ") && isAbout(e.Message, c.Container.Image):
			a.began, a.failed, a.again = a.again, e.At, time.Time{}
			if c.Container.Message == "" || waits.FindString(c.Container.Message) == c.Container.Message {
				_, a.text, _ = strings.Cut(e.Message, `": `)
			}
		}
	}
	if a.failed.IsZero() {
		a.began, a.again = time.Time{}, time.Time{} // of one alone nobody knows how it ended
	}
	a.findPull(c)
	return a
}

// isAbout reports whether an event names an image. The kubelet adds the tag if the Pod leaves it out.
func isAbout(message, image string) bool {
	return strings.Contains(message, `"`+image+`"`) || strings.Contains(message, `"`+image+`:latest"`)
}

// findPull finds what the redirector saw of the attempt. This is the last pull of the image that is not older than the attempt and does not
// belong to a later one.
func (a *attempt) findPull(c *Case) {
	if c.Log.Unknown != "" {
		return
	}
	for i, p := range slices.Backward(c.Log.Pulls) {
		isLater := !a.again.IsZero() && !p.Began.Before(a.again.Add(-slack))
		isOlder := !a.failed.IsZero() && p.Last.Before(a.failed.Add(-late)) || !a.began.IsZero() && p.Began.Before(a.began.Add(-slack))
		if p.Image == c.Image.String() && !isLater && !isOlder {
			a.pull = &c.Log.Pulls[i]
			return
		}
	}
	a.unseen = !a.began.IsZero() && c.Log.Since.Before(a.began)
}
