// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"slices"
	"strconv"
)

// review looks at rules in the light of each other and of the runtimes' quirks (Q1 to Q5).
type review struct {
	*merger
	index *Index
	// said is what entries say of each source.
	said map[Scope]*said
	// blocked are all blocked sources in byte order.
	blocked []Scope
	// blockers name the objects that block a source, because many findings may name the same many.
	blockers map[Scope]string
}

// reviewed is a rule with the names that are requested from each of its mirrors. There may be very many mirrors.
type reviewed struct {
	*Rule
	// served are the modes that a mirror can serve. Where none can, pulls are to fail.
	served Mode
	// places are those of the mirrors in their entries; nil before one was asked for.
	places map[Scope][]int
}

func (m *merger) review(rules []Rule, all map[Scope]*said) {
	r := review{merger: m, index: NewIndex(rules), said: all, blockers: make(map[Scope]string)}
	for i := range rules {
		if rules[i].Blocked {
			r.blocked = append(r.blocked, rules[i].Source)
		}
	}
	for i := range rules {
		rule := &reviewed{Rule: &rules[i]}
		r.reviewSource(rule.Rule)
		for _, mode := range modes {
			if !rule.NoneServes(mode) {
				rule.served |= mode
			}
		}
		for j := range rule.Mirrors {
			if m := &rule.Mirrors[j]; !rule.inherits(m.Modes) {
				r.reviewMirror(rule, m)
			}
		}
	}
}

func (r *review) reviewSource(rule *Rule) {
	if why := unmatchable(rule.Source); why != "" {
		r.find(UnmatchableSource, rule.Source, rule.From, "source %s %s", quote(rule.Source), why).Blocks = rule.Blocked
	}
	if image := OfficialImage(rule.Source); image != "" {
		r.find(DockerHubNamespace, rule.Source, rule.From, "source %s never matches the official image, whose full name is %s; use that as the source, unless you mean the images below %[1]s", quote(rule.Source), quote(image)).Blocks = rule.Blocked
	}
	domain, isWildcard := rule.Source.domain()
	if isWildcard && r.said[rule.Source].hasOwnMirrors() {
		r.find(WildcardCollapse, rule.Source, rule.From, "images with the same path from different subdomains of %s share one name on each mirror of source %s; to keep them apart, use each registry as a source of its own", quote(domain), quote(rule.Source))
	}
	if wildcard := r.index.tiedWildcard(rule.Source); wildcard != nil {
		r.find(WildcardTie, rule.Source, joined(rule.From, wildcard.From), "CRI-O and Podman use source %s for images of %s, because they prefer a wildcard to a host of the same length; use the repositories below the host as sources instead", quote(wildcard.Source), quote(rule.Source))
	}
	r.reviewInherited(rule)
	if rule.Blocked {
		r.reviewBlocked(rule)
		return
	}
	outer := r.index.Enclosing(rule.Source)
	if outer == nil {
		return
	}
	for i, o := range r.said[rule.Source] {
		if o.isCarveOut() && r.policies(outer.Source, r.said[outer.Source])[i].blocks() {
			r.find(CarveOutOpensBlocked, rule.Source, o.entries(anyOf), "the entry for source %s names no mirror and therefore opens this part of source %s, which is blocked by %s", quote(rule.Source), quote(outer.Source), r.blockedBy(outer))
		}
	}
}

// reviewBlocked finds which pulls a blocked source leaves no place for (L4, T6).
func (r *review) reviewBlocked(rule *Rule) {
	for mode, reason := range map[Mode]Reason{ByTag: BlocksTagPulls, ByDigest: BlocksDigestPulls} {
		if len(rule.MirrorsFor(mode)) > 0 || rule.NoneServes(mode) { // where none serves, that is what was asked for
			continue
		}
		r.find(reason, rule.Source, rule.BlockedBy, "source %s is blocked and has no mirror for pulls by %s, so every pull by %[2]s fails", quote(rule.Source), mode)
	}
}

// reviewInherited finds the mirrors of broader sources that are lost.
func (r *review) reviewInherited(rule *Rule) {
	for _, i := range rule.Inherited {
		if len(i.TooLong) > 0 {
			r.find(InheritedTooLong, rule.Source, i.From, "source %s cannot inherit mirrors of source %s for pulls by %s, because their names would be longer than %d characters there: %s",
				quote(rule.Source), quote(i.Source), i.Mode, MaxNameLength, enumerate(quoteAll(i.TooLong)))
		}
	}
}

// reviewMirror looks at one mirror of a rule.
func (r *review) reviewMirror(rule *reviewed, m *Mirror) {
	if m.Location == rule.Source {
		return
	}
	from := func() []Entry {
		return slices.DeleteFunc(slices.Clone(m.From), func(e Entry) bool { return rule.inherits(e.Kind.Mode) })
	}
	if why := invalidRewrites(rule.Source, m.Location); why != "" && m.Modes&rule.served != 0 {
		r.find(InvalidRewrite, rule.Source, from(), "%s %s of source %s: %s", r.place(rule, m), quote(m.Location), quote(rule.Source), why)
	}
	if room := MaxNameLength - len(m.Location); room < roomForOne && len(m.Location) > len(rule.Source) {
		r.find(LongMirror, rule.Source, from(), "%s %s of source %s leaves %d of the %d characters of an image name for the path below the source; CRI-O and Podman fail every pull of an image with a longer path",
			r.place(rule, m), quote(m.Location), quote(rule.Source), room, MaxNameLength)
	}
	if len(r.blocked) == 0 {
		return
	}
	if by := r.index.Find(m.Location); by != nil && by.Blocked {
		r.find(MirrorBlocked, rule.Source, from(), "%s %s of source %s is never contacted, because it is part of source %s, which is blocked by %s", r.place(rule, m), quote(m.Location), quote(rule.Source), quote(by.Source), r.blockedBy(by))
		return
	}
	if by := r.index.findByReaders(m.Location); by != nil && by.Blocked {
		r.find(MirrorBlocked, rule.Source, from(), "%s %s of source %s is never contacted by CRI-O and Podman, because they take it for part of source %s, which is blocked by %s", r.place(rule, m), quote(m.Location), quote(rule.Source), quote(by.Source), r.blockedBy(by))
		return
	}
	if below, ok := FirstBelow(r.blocked, m.Location); ok {
		r.find(MirrorBlocked, rule.Source, from(), "part of %s %s of source %s is never contacted, because source %s is blocked", r.place(rule, m), quote(m.Location), quote(rule.Source), quote(below))
	}
}

// place says where a mirror stands in the entries of its source that list it, as in mirrors[2].
func (r *review) place(rule *reviewed, m *Mirror) string {
	if rule.places == nil {
		rule.places = r.said[rule.Source].places()
	}
	places := rule.places[m.Location]
	slices.Sort(places)
	var texts []string
	for _, place := range slices.Compact(places) {
		texts = append(texts, strconv.Itoa(place))
	}
	return "mirrors[" + enumerate(texts) + "]"
}

// blockedBy names the objects that block a rule's source.
func (r *review) blockedBy(rule *Rule) string {
	names, ok := r.blockers[rule.Source]
	if !ok {
		names = Names(rule.BlockedBy)
		r.blockers[rule.Source] = names
	}
	return names
}
