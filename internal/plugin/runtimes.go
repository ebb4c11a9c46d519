// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// The runtimes that explain can answer for. "" stands for what the sets mean, which each follows but for its quirks.
const (
	crio           = "crio"
	containerdName = "containerd"
)

// defaultRedirectorPort is that of the manager's flag --redirector-port.
const defaultRedirectorPort = 289

func redirectorAddress(port int) string {
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// answer is where one image comes from.
type answer struct {
	mirrors.Resolution
	// Others are the rules that match as well and count for nothing, the most specific first.
	Others []*mirrors.Rule
	// Content is where that which a tag names is pulled from once the tag is resolved, as repositories.
	Content []mirrors.PullSource
	// Pending says why rules for the image are not in force.
	Pending *certsd.Pending
}

// answerer resolves images as a runtime does.
type answerer struct {
	rules   []mirrors.Rule
	index   *mirrors.Index
	runtime string
	tree    certsd.Tree // where the runtime is containerd
}

func newAnswerer(rules []mirrors.Rule, runtime string, node certsd.Node) *answerer {
	a := &answerer{rules: rules, index: mirrors.NewIndex(rules), runtime: runtime}
	if runtime == containerdName {
		a.tree = certsd.Project(rules, node)
	}
	return a
}

func (a *answerer) answer(ref mirrors.Reference) answer {
	var found answer
	switch a.runtime {
	case crio:
		found.Resolution = a.index.ResolveByReaders(ref)
	case containerdName:
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
func (a *answerer) others(ref mirrors.Reference, winner *mirrors.Rule) []*mirrors.Rule {
	var all []*mirrors.Rule
	for i := range a.rules {
		alone := mirrors.NewIndex(a.rules[i : i+1])
		resolve := alone.Resolve
		if a.runtime == crio {
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
func (a *answerer) byContainerd(ref mirrors.Reference) answer {
	found := answer{Resolution: a.reachable(ref)}
	if found.Pending = a.pending(ref, found.Rule); found.Pending != nil {
		found.Resolution = mirrors.Resolution{PullSources: []mirrors.PullSource{{Location: ref.String()}}}
		return found
	}
	if !ref.ByDigest && found.Rule != nil && !found.Blocked && len(found.Rule.Mirrors) > 0 {
		found.Content = a.reachable(mirrors.Reference{Name: ref.Name, ByDigest: true}).PullSources
	}
	return found
}

// reachable leaves out mirrors that lie in a blocked source by another name of Docker Hub, as the redirector does.
func (a *answerer) reachable(ref mirrors.Reference) mirrors.Resolution {
	res := a.index.Resolve(ref)
	router := route.NewRouter(a.rules)
	res.PullSources = slices.DeleteFunc(res.PullSources, func(s mirrors.PullSource) bool {
		host, path, _ := strings.Cut(strings.TrimSuffix(s.Location, ref.Suffix), "/")
		return len(s.From) > 0 && router.Blocks(host, "/v2/"+path)
	})
	return res
}

// pending returns why containerd goes to the registry of an image by itself, whatever rule there is for it; nil where it
// does not.
func (a *answerer) pending(ref mirrors.Reference, rule *mirrors.Rule) *certsd.Pending {
	host := hostOf(ref.Name)
	if rule == nil || slices.ContainsFunc(a.tree.Files, func(f certsd.File) bool { return f.Host == host }) {
		return nil
	}
	for i := range a.tree.Pending {
		if p := &a.tree.Pending[i]; p.Host == host || p.Host == rule.Source {
			return p
		}
	}
	return nil
}

// hostOf returns the registry of a source or a name, or the wildcard.
func hostOf(source string) string {
	host, _, _ := strings.Cut(source, "/")
	return host
}

// warn says what the answer itself does not.
func (a *answerer) warn(stderr io.Writer, ref mirrors.Reference, found answer) {
	switch {
	case found.Pending != nil:
		fmt.Fprintf(stderr, "warning: NotInForce: image %s: containerd does not follow the rules of %q: %s\n", ref, found.Pending.Host, found.Pending.Reason)
	case a.runtime == "":
		warnOfReaders(stderr, ref, found.Resolution, a.index.ResolveByReaders(ref))
	}
}
