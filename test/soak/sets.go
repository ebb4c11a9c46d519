// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// sources are those of the sets that change: whole registries, parts of them, wildcards, and sources inside these.
var sources = []string{
	"first.example", "first.example/team", "first.example/team/app", "second.example", "third.example", "third.example/team",
	"mixed.example", "mixed.example/open", "mixed.example/open/app", "*.wild.example", "*.more.wild.example", "one.wild.example/team", "apps.more.wild.example",
}

// repositories are more repositories that the readers are asked about, in addition to those below each source.
var repositories = []string{
	"first.example/teamwork", "second.example/team", "one.wild.example", "one.more.wild.example/team", "wild.example", "nowhere.example",
}

// closed are the sources that each version of the set "closed" blocks, a whole registry and a part of one. No other set opens them.
var closed = []string{"closed.example", "mixed.example/closed"}

// setsOfAKind is how many sets of each kind there are at most, beside that one.
const setsOfAKind = 12

// mirrorHosts is how many registries are mirrors.
const mirrorHosts = 6

// change creates, changes or deletes a set. Where the API server answers, it says which of these it did.
func change(ctx context.Context, api client.Client, random *rand.Rand, there map[string]bool) (did string, err error) {
	if random.IntN(10) == 0 {
		return "changed", api.Patch(ctx, closedSet(random), client.Apply, client.ForceOwnership, client.FieldOwner("soak")) //nolint:staticcheck // of one set, as people apply them
	}
	name, mode := fmt.Sprintf("%02d", random.IntN(setsOfAKind)), byDigest
	if random.IntN(2) == 0 {
		mode = byTag
	}
	key := mode + name
	if random.IntN(4) == 0 && there[key] {
		err := client.IgnoreNotFound(api.Delete(ctx, newSet(name, mode, nil)))
		there[key] = there[key] && err != nil
		return "deleted", err
	}
	entries := make([]entry, 1+random.IntN(3))
	for i := range entries {
		entries[i] = newEntry(random)
	}
	err = api.Patch(ctx, newSet(name, mode, entries), client.Apply, client.ForceOwnership, client.FieldOwner("soak")) //nolint:staticcheck // as above
	did = "created"
	if there[key] {
		did = "changed"
	}
	there[key] = there[key] || err == nil
	return did, err
}

func newEntry(random *rand.Rand) entry {
	source := sources[random.IntN(len(sources))]
	e := entry{source: source, never: random.IntN(4) == 0}
	if random.IntN(8) > 0 { // else a carve-out
		e.mirrors = newMirrors(random, source)
	}
	return e
}

// newMirrors are some for a source. One of a repository has a path, because an image of that name cannot come from a whole registry (Q3).
func newMirrors(random *rand.Rand, source string) (mirrors []string) {
	for _, host := range random.Perm(mirrorHosts)[:1+random.IntN(4)] {
		mirror := fmt.Sprintf("m%d.mirror.example", host)
		if strings.Contains(source, "/") {
			mirror += "/kept"
		}
		mirrors = append(mirrors, mirror)
	}
	return mirrors
}

func closedSet(random *rand.Rand) client.Object {
	entries := make([]entry, 0, len(closed))
	for _, source := range closed {
		entries = append(entries, entry{source: source, mirrors: newMirrors(random, source), never: true})
	}
	return newSet("closed", byDigest, entries)
}

// newSet is the object of a set.
func newSet(name, mode string, entries []entry) client.Object {
	meta := metav1.ObjectMeta{Name: name}
	if mode == byTag {
		s := &configv1.ImageTagMirrorSet{TypeMeta: metav1.TypeMeta{APIVersion: configv1.GroupVersion.String(), Kind: "ImageTagMirrorSet"}, ObjectMeta: meta}
		for _, e := range entries {
			s.Spec.ImageTagMirrors = append(s.Spec.ImageTagMirrors, configv1.ImageTagMirrors(e.written()))
		}
		return s
	}
	s := &configv1.ImageDigestMirrorSet{TypeMeta: metav1.TypeMeta{APIVersion: configv1.GroupVersion.String(), Kind: "ImageDigestMirrorSet"}, ObjectMeta: meta}
	for _, e := range entries {
		s.Spec.ImageDigestMirrors = append(s.Spec.ImageDigestMirrors, e.written())
	}
	return s
}

// written is an entry as the set has it.
func (e entry) written() configv1.ImageDigestMirrors {
	w := configv1.ImageDigestMirrors{Source: e.source}
	for _, m := range e.mirrors {
		w.Mirrors = append(w.Mirrors, configv1.ImageMirror(m))
	}
	if e.never {
		w.MirrorSourcePolicy = configv1.NeverContactSource
	}
	return w
}

// read is the other way, for all sets that the API server has.
func read(ctx context.Context, api client.Client) (o oracle, err error) {
	var digests configv1.ImageDigestMirrorSetList
	var tags configv1.ImageTagMirrorSetList
	if err := api.List(ctx, &digests); err != nil {
		return nil, err
	}
	if err := api.List(ctx, &tags); err != nil {
		return nil, err
	}
	add := func(set, mode string, w configv1.ImageDigestMirrors) {
		e := entry{set: set, mode: mode, source: w.Source, never: w.MirrorSourcePolicy == configv1.NeverContactSource}
		for _, m := range w.Mirrors {
			e.mirrors = append(e.mirrors, string(m))
		}
		o = append(o, e)
	}
	for i := range digests.Items {
		for _, w := range digests.Items[i].Spec.ImageDigestMirrors {
			add(digests.Items[i].Name, byDigest, w)
		}
	}
	for i := range tags.Items {
		for _, w := range tags.Items[i].Spec.ImageTagMirrors {
			add(tags.Items[i].Name, byTag, configv1.ImageDigestMirrors(w))
		}
	}
	return o, nil
}

// asked are the repositories to ask about, in all of what may be written differently.
func asked() (all []string) {
	for _, source := range slices.Concat(sources, closed, repositories) {
		if host, isWildcard := strings.CutPrefix(source, "*"); isWildcard {
			source = "any" + host
		}
		all = append(all, source)
	}
	return all
}
