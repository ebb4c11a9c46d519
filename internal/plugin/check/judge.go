// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/plugin/registry"
)

// judge finds out where images come from, by sets, and by the runtimes that pull.
type judge struct {
	index     *mirrors.Index
	insecure  mirrors.Scopes
	client    *registry.Client
	answers   map[question]registry.Answer // so that no place is asked twice
	parallel  int
	askSource bool
	// runtimes are those that pull; none where they are not known.
	runtimes []string
}

// forwards reports whether all runtimes are containerd, which asks the next place for what the one before lacks of an image.
func (j *judge) forwards() bool {
	return slices.Equal(j.runtimes, []string{containerd})
}

const containerd = "containerd"

// question is about what one place has. Several images may have it.
type question struct {
	location string
	insecure bool
	isSource bool // which is asked with less than a mirror
}

// clientFor returns the one that asks a mirror or a source.
func (j *judge) clientFor(isSource bool) *registry.Client {
	if isSource {
		return j.client.ForSources()
	}
	return j.client
}

// placesOfAll lists where images could be pulled from by the rules, which the judge keeps to from now on.
func (j *judge) placesOfAll(result mirrors.Result, wants []wanted) (images []checkedImage, pulls []output.Pull) {
	j.index, j.insecure = mirrors.NewIndex(result.Rules), result.Insecure
	images = make([]checkedImage, len(wants))
	for i, w := range wants {
		if w.wrong != "" {
			images[i] = checkedImage{Image: w.name(), Pods: w.pods, Places: []checkedPlace{}, invalid: true, Message: w.wrong}
			continue
		}
		res := j.index.Resolve(w.ref)
		images[i] = j.placesOf(w, res)
		pulls = append(pulls, output.Pull{Image: w.ref, Resolution: res})
		isClosed := res.Rule != nil && res.Rule.NoneServes(w.ref.Mode) // for all of them
		if readers := j.index.ResolveByReaders(w.ref); !j.forwards() && !isClosed && res.Differs(readers) {
			other := j.placesOf(w, readers)
			other.Message = cmp.Or(other.Message, "CRI-O and Podman do not pull it from the places that the sets name (docs/reference/semantics.md, Q1 and Q2)")
			images[i].byReaders = &other
		}
	}
	return images, pulls
}

// placesOf lists where an image could be pulled from. The source is asked only where that is asked for.
func (j *judge) placesOf(w wanted, res mirrors.Resolution) checkedImage {
	image := checkedImage{Image: w.name(), Pods: w.pods, Places: []checkedPlace{}, ref: w.ref}
	if res.Fails != "" {
		image.Message = "the pull fails with CRI-O and Podman: " + res.Fails
		return image
	}
	unserved := res.Rule != nil && res.Rule.NoneServes(w.ref.Mode)
	for _, s := range res.PullSources {
		place := checkedPlace{Location: s.Location, isSource: s.Location == w.ref.String(), from: s.From}
		place.insecure = s.Insecure || res.Rule == nil && j.insecure.Contain(mirrors.Scope(w.ref.Name))
		switch {
		case unserved:
			place.Result = refused
		case mirrors.Scope(s.Location).CannotExist():
			place.Result, place.Message = registry.NoAnswer, "not contacted, because no registry can exist under .invalid (RFC 6761)"
		case place.isSource && !j.askSource:
			place.Result = notAsked
		}
		image.Places = append(image.Places, place)
	}
	if len(image.Places) == 0 || unserved {
		image.Message = whyRefused(w.ref, res.Rule)
	}
	return image
}

// settle asks the places that are still open, and says where each image comes from.
func (j *judge) settle(ctx context.Context, stderr io.Writer, images []checkedImage) {
	var all []*checkedImage
	for i := range images {
		all = append(all, &images[i])
		if other := images[i].byReaders; other != nil {
			all = append(all, other)
		}
	}
	j.ask(ctx, stderr, all)
	j.completeElsewhere(ctx, all)
	for _, image := range all {
		image.From = image.origin()
	}
	for i := range images {
		other := images[i].byReaders
		onlyReaders := len(j.runtimes) > 0 && !slices.Contains(j.runtimes, containerd)
		if other != nil && (onlyReaders || other.From.isWorseThan(images[i].From)) {
			images[i] = *other
		}
	}
}

// ask fills in the results. The places are asked at the same time, so many of them as allowed, and each one once.
func (j *judge) ask(ctx context.Context, stderr io.Writer, images []*checkedImage) {
	type asker struct {
		image *checkedImage
		place *checkedPlace
	}
	open := make(map[question][]asker)
	var questions []question
	for _, image := range images {
		for k := range image.Places {
			if p := &image.Places[k]; p.Result == "" {
				q := question{p.Location, p.insecure, p.isSource}
				if answer, known := j.answers[q]; known {
					image.take(p, answer)
					continue
				}
				if open[q] == nil {
					questions = append(questions, q)
				}
				open[q] = append(open[q], asker{image, p})
			}
		}
	}
	live, asked := output.NewLiveLine(stderr), 0
	var mu sync.Mutex
	each(j.parallel, questions, func(q question) {
		answer := j.clientFor(q.isSource).Has(ctx, q.location, q.insecure)
		mu.Lock()
		defer mu.Unlock()
		j.answers[q] = answer
		for _, a := range open[q] {
			a.image.take(a.place, answer)
		}
		asked++
		live.Show(fmt.Sprintf("%d of %d places checked", asked, len(questions)))
	})
	live.Clear()
}

// each does something with all, with so many at a time, and waits.
func each[T any](parallel int, all []T, do func(T)) {
	var running sync.WaitGroup
	turns := make(chan struct{}, parallel)
	for _, one := range all {
		turns <- struct{}{}
		running.Go(func() {
			defer func() { <-turns }()
			do(one)
		})
	}
	running.Wait()
}
