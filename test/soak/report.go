// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// writes counts what service accounts wrote, by who and what.
func (s *soaking) writes() (count map[string]int, err error) {
	requests, err := s.plane.Requests()
	count = map[string]int{}
	for i := range requests {
		r := &requests[i]
		if slices.Contains([]string{"create", "update", "patch", "delete"}, r.Verb) && r.Status.Code < 300 {
			count[r.Object.Resource]++
		}
	}
	return count, err
}

// report prints the results. It returns an error if a program grows, if there were too many writes, or if too little happened in that length to
// prove anything.
func (s *soaking) report(length, took time.Duration) error {
	writes, err := s.writes()
	if err != nil {
		return err
	}
	changes := s.did["created"] + s.did["changed"] + s.did["deleted"]
	fmt.Printf("\n%d changes in %v, quiet points included: %d sets created, %d changed, %d deleted; %d more failed, the API server being away\n",
		changes, took.Round(time.Second), s.did["created"], s.did["changed"], s.did["deleted"], s.did[failing])
	fmt.Printf("killed %v\n", s.killed)
	fmt.Printf("%d quiet points, %d questions, 0 differences; the hosts were as the sets want them within %.1f s\n",
		len(s.settled), s.asked, slices.Max(s.settled).Seconds())
	fmt.Printf("%d looks at files of what is always blocked, in %d states: none was open\n", s.guard.looks.Load(), s.guard.files.Load())
	fmt.Printf("written %v\n", writes)
	killed := 0
	for _, n := range s.killed {
		killed += n
	}
	return errors.Join(s.meter.print([]string{"agent-2", "agent-3"}),
		// A tenth of what there can be, and less than half of the kills that there are.
		atLeast("changes were made", changes, int(perSecond*length.Seconds()/10)),
		atLeast("states of files of what is always blocked were seen", int(s.guard.files.Load()), int(length.Seconds())),
		atLeast("programs were killed", killed, int(length.Seconds()/10)),
		// The manager publishes at most once a second, and each of its successors immediately.
		atMost(writes, "configmaps", int(took/time.Second)+killed+10),
		// An agent reports its result once for each revision, and when it starts.
		atMost(writes, "mirrornodes", hosts*(writes["configmaps"]+10)+2*killed),
		// S5 of docs/reference/semantics.md
		atMost(writes, "imagedigestmirrorsets", 3*changes),
		atMost(writes, "imagetagmirrorsets", 3*changes))
}

func atLeast(what string, n, least int) error {
	if n < least {
		return fmt.Errorf("%d %s, want %d at least", n, what, least)
	}
	return nil
}

func atMost(writes map[string]int, resource string, most int) error {
	if n := writes[resource]; n > most {
		return fmt.Errorf("%s were written %d times, want %d at most", resource, n, most)
	}
	return nil
}
