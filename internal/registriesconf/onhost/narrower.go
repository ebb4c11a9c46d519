// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package onhost

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// narrower reports the tables of this host that decide for a part of a source in force, and treat it differently from the source's rule.
// Our table cannot override them, because the consumers choose the longest prefix.
func (c *Candidate) narrower(rules, inForce []mirrors.Rule, tables []sysregistriesv2.Registry) {
	index := mirrors.NewIndex(rules)
	for i := range tables {
		t := &tables[i]
		rule := index.Find(mirrors.Scope(t.Prefix))
		if rule == nil || string(rule.Source) == t.Prefix || isTied(rule.Source, t.Prefix) || !slices.ContainsFunc(inForce, sourceIs(rule.Source)) || sameEffect(rule, t, t.Prefix) {
			continue
		}
		by, source := c.decider(t.Prefix), string(rule.Source)
		if rule.Blocked && !t.Blocked {
			c.find(ShadowsLocal, []string{source}, "%s on this node has a [[registry]] table with the prefix %q, so that part of source %q is not blocked here, although the sets block it; remove that table", by, t.Prefix, source)
			continue
		}
		c.find(ShadowsLocal, []string{source}, "%s on this node has a [[registry]] table with the prefix %q, so source %q is in force here except for images in %q, which that table %s; remove that table", by, t.Prefix, source, t.Prefix, says(t))
	}
}

// blockedMirrors reports the tables of this host that block a mirror of a source in force, or a part of the mirror (Q4).
func (c *Candidate) blockedMirrors(rules, inForce []mirrors.Rule, theirs *consumer, tables []sysregistriesv2.Registry) error {
	tables = slices.DeleteFunc(slices.Clone(tables), func(t sysregistriesv2.Registry) bool { return !t.Blocked })
	index := mirrors.NewIndex(rules)
	for i := range inForce {
		rule := &inForce[i]
		said := make(map[string]bool) // the list can contain a mirror twice (T7)
		for _, m := range rule.Mirrors {
			by, err := theirs.covering(string(m.Location))
			if err != nil {
				return err
			}
			if by != nil && by.Blocked {
				c.blockedMirror(rule, m.Location, by.Prefix, said)
				continue
			}
			for _, t := range tables {
				if inside := mirrors.Scope(t.Prefix); m.Location.Contains(inside) && asks(index, rule, m.Location, inside) {
					c.blockedMirror(rule, m.Location, t.Prefix, said)
				}
			}
		}
	}
	return nil
}

func (c *Candidate) blockedMirror(rule *mirrors.Rule, mirror mirrors.Scope, prefix string, said map[string]bool) {
	by, source := c.decider(prefix), string(rule.Source)
	what := fmt.Sprintf("mirror %q", mirror)
	if mirrors.Scope(prefix) != mirror && mirror.Contains(mirrors.Scope(prefix)) {
		what = fmt.Sprintf("the part %q of mirror %q", prefix, mirror)
	}
	if key := prefix + " " + string(mirror); !said[key] {
		said[key] = true
		c.find(LocalBlock, []string{source}, "%s on this node blocks %q, so CRI-O and Podman refuse %s of source %q here; remove the [[registry]] table with that prefix, or name another mirror in the sets", by, prefix, what, source)
	}
}

// asks reports whether images of a source are requested from a part of its mirror. This is true for all of them, except those that a
// narrower rule decides for.
func asks(index *mirrors.Index, rule *mirrors.Rule, mirror, part mirrors.Scope) bool {
	if rule.Source.IsWildcard() {
		return true // it is not known for which host
	}
	by := index.Find(rule.Source + mirrors.Scope(mirror.Rest(part)))
	return by == nil || by.Source == rule.Source
}

// isTied reports whether a wildcard source wins over the prefix of a host below it because both are equally long (Q1).
func isTied(source mirrors.Scope, prefix string) bool {
	return source.IsWildcard() && len(source) == len(prefix) && !strings.HasPrefix(prefix, "*.")
}

func sourceIs(source mirrors.Scope) func(mirrors.Rule) bool {
	return func(rule mirrors.Rule) bool { return rule.Source == source }
}

// sameEffect reports whether a table makes the consumers pull the images in a scope from the same places as the rule would. Both the table
// and the rule's source contain the scope.
func sameEffect(rule *mirrors.Rule, t *sysregistriesv2.Registry, scope string) bool {
	ours := tableOf(rule)
	for _, name := range examples(scope) {
		for _, suffix := range []string{":x", "@sha256:" + strings.Repeat("0", 64)} {
			named, err := reference.ParseNamed(name + suffix)
			if err != nil || named.Name() != name {
				continue // no image has this name
			}
			if ours.Blocked != t.Blocked || !slices.Equal(pulls(&ours, named), pulls(t, named)) {
				return false
			}
		}
	}
	return true
}

// examples are names of images in a scope, one of each kind that a table can treat differently.
func examples(scope string) []string {
	if domain, ok := strings.CutPrefix(scope, "*."); ok {
		return []string{"x." + domain + "/x"}
	}
	if !strings.Contains(scope, "/") {
		return []string{scope + "/x"}
	}
	return []string{scope, scope + "/x"}
}

// pulls returns the places that a table has an image pulled from. Its own place is not among them if the table blocks it.
func pulls(t *sysregistriesv2.Registry, named reference.Named) (places []string) {
	sources, err := t.PullSourcesFromReference(named)
	if err != nil {
		return []string{"fails"}
	}
	if t.Blocked {
		sources = sources[:len(sources)-1]
	}
	for _, s := range sources {
		places = append(places, fmt.Sprint(s.Reference, s.Endpoint.Insecure, s.Endpoint.NamespaceProxy))
	}
	return places
}

// tableOf is the table that is written for a rule (R1, T7).
func tableOf(rule *mirrors.Rule) sysregistriesv2.Registry {
	t := sysregistriesv2.Registry{Prefix: string(rule.Source), Blocked: rule.Blocked, Endpoint: sysregistriesv2.Endpoint{Insecure: rule.Insecure}}
	if !rule.Source.IsWildcard() {
		t.Location = t.Prefix
	}
	for _, m := range rule.Mirrors {
		e := sysregistriesv2.Endpoint{Location: string(m.Location), Insecure: m.Insecure}
		switch m.Modes {
		case mirrors.ByDigest:
			e.PullFromMirror = sysregistriesv2.MirrorByDigestOnly
		case mirrors.ByTag:
			e.PullFromMirror = sysregistriesv2.MirrorByTagOnly
		}
		t.Mirrors = append(t.Mirrors, e)
	}
	return t
}

// says describes the effect of a table on the images in its prefix.
func says(t *sysregistriesv2.Registry) string {
	var places []string
	for _, m := range t.Mirrors {
		places = append(places, m.Location)
	}
	switch {
	case t.Blocked && len(places) == 0:
		return "makes CRI-O and Podman refuse"
	case !t.Blocked:
		places = append(places, cmp.Or(t.Location, t.Prefix))
	}
	return "makes CRI-O and Podman pull from " + strings.Join(places, ", then ")
}
