// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package runtimes reports where each runtime pulls an image from by the rules, on a node that is set up as the manager's flags say.
package runtimes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// The runtimes that there are answers for. "" stands for what the sets mean, which each follows but for its quirks.
const (
	CRIO       = "crio"
	Containerd = "containerd"
)

// DefaultRedirectorPort is that of the manager's flag --redirector-port.
const DefaultRedirectorPort = 289

// RedirectorAddress returns where containerd finds the redirector of its node.
func RedirectorAddress(port int) string {
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// AddDefaultHostFlag adds the flag of the manager by the same name.
func AddDefaultHostFlag(cmd *cobra.Command, allow *bool) {
	cmd.Flags().BoolVar(allow, "allow-default-host", false, "for containerd: assume that the manager runs with --allow-default-host, which puts blocked wildcards in force")
}

// Answer is where one image comes from.
type Answer struct {
	mirrors.Resolution
	// Others are the rules that match as well and count for nothing, the most specific first.
	Others []*mirrors.Rule
	// Content is where that which a tag names is pulled from once the tag is resolved at the source, as repositories.
	Content []mirrors.PullSource
	// TagMirrors are those that the tag can be resolved at. The one where it was found comes behind the mirrors of Content (T10).
	TagMirrors []mirrors.PullSource
	// Pending says why rules for the image are not in force.
	Pending *certsd.Pending
}

// Answerer resolves images as a runtime does.
type Answerer struct {
	rules   []mirrors.Rule
	index   *mirrors.Index
	runtime string
	tree    certsd.Tree // where the runtime is containerd
}

// New returns the one for a runtime, or with "" the one for what the rules mean.
func New(rules []mirrors.Rule, runtime string, node certsd.Node) *Answerer {
	a := &Answerer{rules: rules, index: mirrors.NewIndex(rules), runtime: runtime}
	if runtime == Containerd {
		a.tree = certsd.Project(rules, node)
	}
	return a
}

// Answer resolves one image.
func (a *Answerer) Answer(ref mirrors.Reference) Answer {
	var found Answer
	switch a.runtime {
	case CRIO:
		found.Resolution = a.index.ResolveByReaders(ref)
	case Containerd:
		found = a.byContainerd(ref)
	default:
		found.Resolution = a.index.Resolve(ref)
	}
	if found.Rule != nil {
		found.Others = a.others(ref, found.Rule)
	}
	return found
}

// others asks each rule alone, so that whether it matches is never told in a second way.
func (a *Answerer) others(ref mirrors.Reference, winner *mirrors.Rule) []*mirrors.Rule {
	var all []*mirrors.Rule
	for i := range a.rules {
		alone := mirrors.NewIndex(a.rules[i : i+1])
		resolve := alone.Resolve
		if a.runtime == CRIO {
			resolve = alone.ResolveByReaders
		}
		if a.rules[i].Source != winner.Source && resolve(ref).Rule != nil {
			all = append(all, &a.rules[i])
		}
	}
	slices.SortStableFunc(all, func(a, b *mirrors.Rule) int { return cmp.Compare(len(b.Source), len(a.Source)) })
	return all
}

// byContainerd answers for a node whose containerd folder is ours alone (N4).
func (a *Answerer) byContainerd(ref mirrors.Reference) Answer {
	found := Answer{Resolution: a.reachable(ref)}
	if found.Pending = a.pending(ref, found.Rule); found.Pending != nil {
		found.Resolution = mirrors.Resolution{PullSources: []mirrors.PullSource{{Location: ref.String()}}}
		return found
	}
	if ref.Mode == mirrors.ByTag && found.Rule != nil && len(found.PullSources) > 0 && len(found.Rule.Mirrors) > 0 {
		found.Content = a.reachable(mirrors.Reference{Name: ref.Name, Mode: mirrors.ByDigest}).PullSources
		found.TagMirrors = tagMirrors(ref, found.PullSources)
	}
	return found
}

// tagMirrors returns the pull sources of a tag but for its own source, as repositories.
func tagMirrors(ref mirrors.Reference, sources []mirrors.PullSource) (found []mirrors.PullSource) {
	for _, s := range sources {
		if s.Location = strings.TrimSuffix(s.Location, ref.Suffix); s.Location != ref.Name {
			found = append(found, s)
		}
	}
	return found
}

// reachable leaves out mirrors that are part of a blocked source by another name of Docker Hub, as the redirector does.
func (a *Answerer) reachable(ref mirrors.Reference) mirrors.Resolution {
	res := a.index.Resolve(ref)
	router := route.NewRouter(a.rules)
	res.PullSources = slices.DeleteFunc(res.PullSources, func(s mirrors.PullSource) bool {
		place := mirrors.Scope(strings.TrimSuffix(s.Location, ref.Suffix))
		return len(s.From) > 0 && router.Blocks(place.Host(), route.APIRoot+place.Path())
	})
	return res
}

// pending returns why containerd goes to the registry of an image by itself, whatever rule there is for it; nil where it
// does not.
func (a *Answerer) pending(ref mirrors.Reference, rule *mirrors.Rule) *certsd.Pending {
	host := mirrors.Scope(ref.Name).Host()
	if rule == nil || slices.ContainsFunc(a.tree.Files, func(f certsd.File) bool { return f.Host == host }) {
		return nil
	}
	for i := range a.tree.Pending {
		if p := &a.tree.Pending[i]; p.Host == host || p.Host == string(rule.Source) {
			return p
		}
	}
	return nil
}
