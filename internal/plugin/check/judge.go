// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"fmt"
	"io"
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
	// forward says that all runtimes are containerd, which asks the next place for what the one before lacks of an image.
	forward bool
}

// question is about what one place has. Several images may have it.
type question struct {
	location string
	insecure bool
}

// placesOfAll lists where images could be pulled from by the rules, which the judge keeps to from now on.
func (j *judge) placesOfAll(result mirrors.Result, wants []wanted) (images []checkedImage, pulls []output.Pull) {
	j.index, j.insecure = mirrors.NewIndex(result.Rules), result.Insecure
	images = make([]checkedImage, len(wants))
	for i, w := range wants {
		var res mirrors.Resolution
		images[i], res = j.placesOf(w)
		if w.wrong == "" {
			pulls = append(pulls, output.Pull{Image: w.ref, Resolution: res})
		}
	}
	return images, pulls
}

// placesOf lists where an image could be pulled from. The source is asked only where that is asked for.
func (j *judge) placesOf(w wanted) (checkedImage, mirrors.Resolution) {
	image := checkedImage{Image: w.name(), Pods: w.pods, Places: []checkedPlace{}, ref: w.ref}
	if w.wrong != "" {
		image.invalid, image.Message = true, w.wrong
		return image, mirrors.Resolution{}
	}
	res := j.index.Resolve(w.ref)
	unserved := res.Rule != nil && res.Rule.NoneServes(w.ref.Mode)
	for _, s := range res.PullSources {
		place := checkedPlace{Location: s.Location, isSource: s.Location == w.ref.String(), from: s.From}
		place.insecure = s.Insecure || res.Rule == nil && j.insecure.Contain(mirrors.Scope(w.ref.Name))
		switch {
		case unserved:
			place.Result = refused
		case mirrors.Scope(s.Location).CannotExist():
			place.Result, place.Message = registry.NoAnswer, "it is not asked, because no registry can exist under .invalid (RFC 6761)"
		case place.isSource && !j.askSource:
			place.Result = notAsked
		}
		image.Places = append(image.Places, place)
	}
	if len(image.Places) == 0 || unserved {
		image.Message = whyRefused(w.ref, res.Rule)
	}
	return image, res
}

// settle asks the places that are still open, and says where each image comes from.
func (j *judge) settle(ctx context.Context, stderr io.Writer, images []checkedImage) {
	j.ask(ctx, stderr, images)
	j.completeElsewhere(ctx, images)
	for i := range images {
		images[i].From = images[i].origin()
	}
}

// ask fills in the results. The places are asked at the same time, so many of them as allowed, and each one once.
func (j *judge) ask(ctx context.Context, stderr io.Writer, images []checkedImage) {
	type asker struct {
		image *checkedImage
		place *checkedPlace
	}
	open := make(map[question][]asker)
	var questions []question
	for i := range images {
		for k := range images[i].Places {
			if p := &images[i].Places[k]; p.Result == "" {
				q := question{p.Location, p.insecure}
				if answer, known := j.answers[q]; known {
					images[i].take(p, answer)
					continue
				}
				if open[q] == nil {
					questions = append(questions, q)
				}
				open[q] = append(open[q], asker{&images[i], p})
			}
		}
	}
	live, asked := output.NewLiveLine(stderr), 0
	var mu sync.Mutex
	each(j.parallel, questions, func(q question) {
		answer := j.client.Has(ctx, q.location, q.insecure)
		mu.Lock()
		defer mu.Unlock()
		j.answers[q] = answer
		for _, a := range open[q] {
			a.image.take(a.place, answer)
		}
		asked++
		live.Show(fmt.Sprintf("%d of %d places asked", asked, len(questions)))
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
