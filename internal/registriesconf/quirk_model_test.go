// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf_test

import (
	"slices"
	"strings"

	"go.podman.io/image/v5/docker/reference"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// The predicates below say, from rules and names alone, where the consumer's quirks Q1 to Q3 strike. Q4 is part of our
// own answer, Q5 is about sources that no reference reaches, and Q6 about keys, so neither makes answers differ.

func isWildcard(source string) bool {
	return strings.HasPrefix(source, "*.")
}

// hostOf cuts the host of a name into its domain and its port.
func hostOf(name string) (domain string, hasPort bool) {
	host, _, _ := strings.Cut(name, "/")
	domain, _, hasPort = strings.Cut(host, ":")
	return domain, hasPort
}

// tiesWith is Q1: the wildcard is as long as the host that it matches, one character before its domain.
func tiesWith(wildcard, host string) bool {
	return isWildcard(wildcard) && len(wildcard) == len(host) && !strings.ContainsAny(host, "/:") && strings.HasSuffix(host, wildcard[1:])
}

// leaksPort is the first half of Q2: a source without port or path is taken for the same host with a port.
func leaksPort(source, name string) bool {
	domain, hasPort := hostOf(name)
	if isWildcard(source) {
		return hasPort && strings.HasSuffix(domain, source[1:])
	}
	return hasPort && source == domain
}

// isLostTwice is the other half of Q2: the wildcard's domain occurs in the host before its end, and only that is looked at.
func isLostTwice(source, name string) bool {
	domain, _ := hostOf(name)
	return isWildcard(source) && strings.HasSuffix(domain, source[1:]) && strings.Index(domain, source[1:]) < len(domain)-len(source[1:])
}

// cannotRewrite is Q3: the mirror's location and the rest of the reference are no canonical reference.
func cannotRewrite(location string) bool {
	_, err := reference.ParseNamed(location)
	return err != nil
}

// winner is the source that the consumer finds for a name, and the quirks that have a part in that: our own longest
// match, among candidates that Q2 adds to and takes from, and with ties as Q1 breaks them.
func winner(rules []mirrors.Rule, name string) (rule *mirrors.Rule, quirks []string) {
	own := mirrors.NewIndex(rules).Resolve(mirrors.Reference{Name: name}).Rule
	for i := range rules {
		candidate := &rules[i]
		index := mirrors.NewIndex(rules[i : i+1])
		matches := index.Resolve(mirrors.Reference{Name: name}).Rule != nil || leaksPort(string(candidate.Source), name)
		if !matches || isLostTwice(string(candidate.Source), name) {
			continue
		}
		if rule == nil || len(candidate.Source) > len(rule.Source) || tiesWith(string(candidate.Source), string(rule.Source)) {
			rule = candidate
		}
	}
	switch {
	case own == rule:
	case own != nil && rule != nil && tiesWith(string(rule.Source), string(own.Source)):
		quirks = append(quirks, "Q1")
	default:
		quirks = append(quirks, "Q2")
	}
	return rule, quirks
}

// withQuirks is what the consumer is to answer: what our rules say, bent by the quirks, which are named.
func withQuirks(rules []mirrors.Rule, ref mirrors.Reference) (answer, []string) {
	rule, quirks := winner(rules, ref.Name)
	if rule == nil {
		return answer{Tried: []place{{Location: ref.String()}}}, quirks
	}
	want := answer{Prefix: string(rule.Source), Blocked: rule.Blocked}
	matched := len(rule.Source)
	if rule.Source.IsWildcard() {
		domain, _ := hostOf(ref.Name)
		matched = len(domain)
	}
	places := []place{{ref.String(), rule.Insecure}}
	if ref.Mode == mirrors.ByDigest {
		places = nil
		for _, m := range rule.Mirrors {
			places = append(places, place{string(m.Location) + ref.String()[matched:], m.Insecure})
		}
		places = append(places, place{ref.String(), rule.Insecure})
	}
	for _, p := range places {
		if cannotRewrite(p.Location) {
			want.Fails = true
			return want, append(quirks, "Q3")
		}
	}
	for _, p := range places {
		name, _, _ := strings.Cut(p.Location, "@")
		if ref.Mode == mirrors.ByTag {
			name = ref.Name
		}
		by, more := winner(rules, name)
		if by == nil || !by.Blocked {
			want.Tried = append(want.Tried, p)
		}
		for _, q := range more {
			if !slices.Contains(quirks, q) {
				quirks = append(quirks, q)
			}
		}
	}
	return want, quirks
}
