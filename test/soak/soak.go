// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	// quarters is how many parts there are: the manager is killed in the first one, and the API server and etcd in the third, so that
	// what grows shows between the second and the last.
	quarters = 4
	// shortest is long enough for something to be killed in each.
	shortest = 40 * time.Second
	// round is about how long sets change from one quiet point to the next.
	round = time.Minute
	// perSecond is how many changes there are in a second, while the API server answers.
	perSecond = 20
	// patience is how long the hosts may take from a quiet point on, and recheck is how long they are then held to stay.
	patience = time.Minute
	recheck  = 2 * time.Second
)

// failing is a change that the API server gave no answer to.
const failing = "failed"

// soaking is one run and its results.
type soaking struct {
	*machine
	guard   *guard
	meter   *meter
	did     map[string]int // changes of sets, by what they were
	there   map[string]bool
	asked   int             // questions at quiet points
	settled []time.Duration // how long each of these took
}

func soak(ctx context.Context, root string, length time.Duration, random *rand.Rand) (err error) {
	m, err := startMachine(ctx, root)
	if m != nil {
		defer func() { err = errors.Join(err, m.stop()) }()
	}
	if err != nil {
		return err
	}
	s := &soaking{machine: m, guard: &guard{}, did: map[string]int{}, there: map[string]bool{}}
	for _, a := range m.agents {
		s.guard.hosts = append(s.guard.hosts, a.root)
	}
	if s.meter, err = newMeter(ctx, m); err != nil {
		return err
	}
	if err := m.api.Create(ctx, closedSet(random)); err != nil {
		return err
	}
	if err := s.quiet(ctx, random); err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var guarding sync.WaitGroup
	guarding.Go(func() {
		if err := s.guard.look(ctx); err != nil {
			fail(err)
		}
	})
	started := time.Now()
	rounds := int((length/quarters + round - 1) / round)
	for quarter := 1; quarter <= quarters && err == nil; quarter++ {
		for i := 0; i < rounds && err == nil; i++ {
			err = s.round(ctx, random, quarter, length/time.Duration(quarters*rounds))
		}
	}
	took := time.Since(started)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	fail(nil)
	guarding.Wait()
	if err != nil {
		return err
	}
	return s.report(length, took)
}

// round has sets change and programs killed for a while, and then holds the hosts against the sets.
func (s *soaking) round(ctx context.Context, random *rand.Rand, quarter int, length time.Duration) error {
	end := time.Now().Add(length)
	var all sync.WaitGroup
	var failed [3]error
	churning, kills := rand.New(rand.NewPCG(random.Uint64(), 0)), rand.New(rand.NewPCG(random.Uint64(), 0))
	all.Go(func() { failed[2] = s.churn(ctx, churning, end) })
	all.Go(func() { failed[0] = s.killPrograms(ctx, kills, quarter, end) })
	if quarter == 3 {
		all.Go(func() { failed[1] = s.killParts(length) })
	}
	all.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		return err
	}
	return s.quiet(ctx, random)
}

// churn changes sets. The API server may be away, and refuses none of them.
func (s *soaking) churn(ctx context.Context, random *rand.Rand, end time.Time) error {
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for time.Now().Before(end) && ctx.Err() == nil {
		<-tick.C
		did, err := change(ctx, s.api, random, s.there)
		if apierrors.IsInvalid(err) {
			return err
		}
		if err != nil {
			did = failing
		}
		s.did[did]++
	}
	return nil
}

// killPrograms kills a program every few seconds, and measures all in between.
func (s *soaking) killPrograms(ctx context.Context, random *rand.Rand, quarter int, end time.Time) error {
	mortal := s.agents[1:]
	if quarter == 1 {
		mortal = append(slices.Clone(mortal), s.manager)
	}
	for next := random.IntN(len(mortal)); time.Now().Before(end) && ctx.Err() == nil; next++ {
		for range 2 + random.IntN(3) {
			time.Sleep(time.Second)
			s.meter.measure(ctx, append(slices.Clone(s.agents), s.manager), quarter)
		}
		if err := s.kill(random, mortal[next%len(mortal)]); err != nil {
			return err
		}
	}
	return nil
}

// killParts kills the API server, and later etcd.
func (s *soaking) killParts(length time.Duration) error {
	for _, name := range []string{"kube-apiserver", "etcd"} {
		time.Sleep(length / 5)
		if err := s.killPart(name); err != nil {
			return err
		}
	}
	return nil
}

// quiet waits until all hosts are as the sets require, and checks that they stay so.
func (s *soaking) quiet(ctx context.Context, random *rand.Rand) error {
	for _, p := range append(slices.Clone(s.agents), s.manager) {
		if err := p.lives(); err != nil {
			return err
		}
	}
	started := time.Now()
	for {
		differences, err := s.differences(ctx, random)
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil && len(differences) == 0 {
			break
		}
		if time.Since(started) > patience {
			return errors.Join(err, fmt.Errorf("%d differences after %v:\n%s", len(differences), patience, strings.Join(differences, "\n")))
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.settled = append(s.settled, time.Since(started))
	time.Sleep(recheck)
	differences, err := s.differences(ctx, random)
	if len(differences) > 0 {
		err = errors.Join(err, fmt.Errorf("%d differences after there were none:\n%s", len(differences), strings.Join(differences, "\n")))
	}
	return err
}

// differences asks the readers of each host where images come from, and returns where that is not what the sets say.
func (s *soaking) differences(ctx context.Context, random *rand.Rand) (found []string, err error) {
	sets, err := read(ctx, s.api)
	if err != nil {
		return nil, err
	}
	for _, a := range s.agents {
		for _, repository := range asked() {
			for _, mode := range []string{byDigest, byTag} {
				// One of its own for each question, because the redirector remembers where it found a tag (T10).
				repository := fmt.Sprintf("%s/x%x", repository, random.Uint64())
				want := sets.places(repository, mode)
				library, err := byLibrary(a.root, repository, mode)
				if err != nil {
					return nil, err
				}
				containerd, err := byContainerd(ctx, a.root, repository, mode)
				if err != nil {
					return nil, err
				}
				s.asked += 2
				if !slices.Equal(library, want) {
					found = append(found, fmt.Sprintf("%s, by %s of %s: CRI-O and Podman %q, want %q", a.name, mode, repository, library, want))
				}
				if !slices.Equal(containerd, want) {
					found = append(found, fmt.Sprintf("%s, by %s of %s: containerd %q, want %q", a.name, mode, repository, containerd, want))
				}
			}
		}
	}
	return found, nil
}
