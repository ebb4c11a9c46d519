// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// Paths below the host's root.
const (
	statePath = payload.HostPath
	lockPath  = "var/lib/mirrorset/lock"
)

var stateFile = hostfile.File{Path: statePath}

// state is what the agents of one host, one after the other, know of what was accepted.
type state struct {
	host *hostfile.Host
	log  logr.Logger
	// kept is what the file was last found to say, without its text, and stamp the file's then.
	kept  payload.Payload
	stamp hostfile.Stamp
}

// read returns what was accepted last. It fails with [fs.ErrNotExist] where nothing was.
func (s *state) read() (*sink.Accepted, error) {
	data, err := s.host.Read(stateFile)
	if err != nil {
		return nil, err
	}
	p, err := payload.Unmarshal(data)
	if err != nil {
		return nil, err
	}
	return decode(p)
}

func decode(p payload.Payload) (*sink.Accepted, error) {
	rules, err := registriesconf.Decode(p.Text)
	if err != nil {
		return nil, err
	}
	return &sink.Accepted{Payload: p, Rules: rules}, nil
}

// keep has the next agent on this host begin with the payload (N6).
func (s *state) keep(p payload.Payload) error {
	stamp, isKnown := s.host.Stamp(statePath)
	if isKnown && stamp == s.stamp && s.kept.Same(&p) {
		return nil
	}
	data, err := p.Marshal()
	changed := false
	if err == nil {
		changed, err = s.host.Replace(stateFile, data)
	}
	if err != nil {
		return fmt.Errorf("the agent cannot save revision %d for its next start: %w", p.Revision, err)
	}
	if isKnown && !changed {
		s.stamp, s.kept = stamp, p
		s.kept.Text = nil
	}
	return nil
}

// remove forgets what was accepted.
func (s *state) remove() error {
	_, err := s.host.Remove(stateFile)
	return err
}

// lock waits until this is the only agent on the host that writes, and calls changed whenever the other one accepts something.
func (s *state) lock(ctx context.Context, changed func()) (unlock func() error, err error) {
	waiting, stop := context.WithCancel(ctx)
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		s.follow(waiting, changed)
	}()
	unlock, err = s.host.Lock(ctx, lockPath)
	stop()
	<-followed
	return unlock, err
}

// followPoll is how often the state of another agent is looked at.
const followPoll = 50 * time.Millisecond

func (s *state) follow(ctx context.Context, changed func()) {
	last, _ := s.host.Lstat(statePath) // where there is none yet, any other is a change
	ticker := time.NewTicker(followPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			now, err := s.host.Lstat(statePath)
			if err == nil && (last == nil || !hostfile.SameFile(last, now)) {
				changed()
				last = now
			}
		}
	}
}
