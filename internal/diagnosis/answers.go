// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// answer is the result of one place in the attempt.
type answer struct {
	// place is a repository, as HOST/REPOSITORY.
	place    string
	isSource bool
	state    state
	// why is in the words of the program that saw it, or empty.
	why string
	// over is why this may no longer be true, or empty.
	over string
}

// host is that of the place.
func (a answer) host() string {
	return mirrors.Scope(a.place).Host()
}

// findAnswers puts together what the log and the runtime's message tell of each place that was tried, in that order.
func (v *view) findAnswers() (all []answer) {
	note := func(a answer) {
		i := slices.IndexFunc(all, func(b answer) bool { return b.place == a.place && b.isSource == a.isSource })
		switch {
		case i < 0:
			all = append(all, a)
		case all[i].state == has && a.state == missing && v.isFirst(a):
			all[i].state = incomplete
		case all[i].state == has && a.state == missing, all[i].state == missing && a.state == has:
			all[i].state = patchy
		case a.state < all[i].state:
			all[i] = a
		}
	}
	if v.pull != nil {
		for _, t := range v.pull.Tries {
			note(answer{place: t.Place, isSource: t.Source, state: stateOf(t), why: t.Why})
		}
		if v.pull.Refusal != "" {
			note(answer{place: v.Image.Name, isSource: true, state: blocked})
		}
	}
	for _, a := range v.told() {
		note(a)
	}
	for i := range all {
		if all[i].state == uncertified && v.isEarly(all[i].why) {
			all[i].state = early
		}
		all[i].over = v.over(all[i])
	}
	slices.SortStableFunc(all, func(a, b answer) int { return cmp.Compare(rankOf(a), rankOf(b)) })
	return all
}

// rankOf has the source behind the mirrors.
func rankOf(a answer) int {
	if a.isSource {
		return 1
	}
	return 0
}

// told returns what the runtime's message says about the places that the rules name. CRI-O names each place with its result, the
// redirector's refusal names each place that it passed over, and containerd names only one.
func (v *view) told() (all []answer) {
	for _, s := range v.rules().PullSources {
		for _, before := range []string{"[" + s.Location + ": ", "): " + s.Location + ": ", "; mirror " + v.placeOf(s) + ": "} {
			if _, why, ok := strings.Cut(v.text, before); ok {
				why = upTo(why, "]\n[", "]): ", "; mirror ", "\n")
				a := answer{place: v.placeOf(s), isSource: v.isSource(s), state: read(v.nameless(why)), why: why}
				if strings.HasPrefix(why, answeredRedirector) && (a.state == refusing || a.state == unknown) {
					a.state = cameBack
				}
				all = append(all, a)
			}
		}
	}
	whole := read(v.nameless(v.text))
	host, isRedirector := hostOf(v.text)
	at, isToken := v.placesAt(host), strings.Contains(v.text, "failed to authorize") // whose message names the token server
	if isToken {
		at = nil
	}
	visited := v.onlyVisited()
	switch {
	case whole == blocked && v.rules().Blocked:
		all = append(all, answer{place: v.Image.Name, isSource: true, state: blocked})
	case whole == blocked, isRedirector, strings.Contains(v.text, "(Mirrors also failed: "):
	case len(at) > 1:
	case len(at) == 1:
		all = append(all, answer{place: v.placeOf(at[0]), isSource: v.isSource(at[0]), state: whole, why: v.text})
	case whole == wrong:
		if gave := v.gave(); len(gave) == 1 {
			all = append(all, answer{place: gave[0].Place, isSource: gave[0].Source, state: wrong, why: v.text})
		}
	case len(v.rules().PullSources) == 1 && (whole != missing || v.isStraight()): // there is nobody else whom it could be about
		s := v.rules().PullSources[0]
		all = append(all, answer{place: v.placeOf(s), isSource: v.isSource(s), state: whole, why: v.text})
	case visited != nil && whole == refusing && host != "" && !isToken: // a storage, which knows no logins
		if visited.Source {
			all = append(all, answer{place: visited.Place, isSource: true, state: failing, why: v.text})
		}
	case visited != nil && (whole != missing || host != ""):
		all = append(all, answer{place: visited.Place, isSource: visited.Source, state: whole, why: v.text})
	}
	return all
}

// onlyVisited returns the place that the redirector sent the runtime to, if it was one alone, so that nobody else can have answered the runtime.
func (v *view) onlyVisited() (only *accesslog.Tries) {
	if v.pull == nil {
		return nil
	}
	for i, t := range v.pull.Tries {
		switch t.Outcome {
		case accesslog.CameBack, accesslog.Sent:
			if only != nil && only.Place != t.Place {
				return nil
			}
			only = &v.pull.Tries[i]
		case accesslog.Served, accesslog.Error: // where it was sent as well, or not
			return nil
		}
	}
	return only
}

// isStraight reports whether the runtime contacts no other place before the only one. The redirector answers 404 for each rank that an
// image has no mirror of. containerd then reports that the image was not found, although it could not even connect to the source.
func (v *view) isStraight() bool {
	return v.pull == nil && v.rules().Rule == nil && !v.rules().Beside
}

func (v *view) placeOf(s mirrors.PullSource) string {
	return strings.TrimSuffix(s.Location, v.Image.Suffix)
}

func (v *view) isSource(s mirrors.PullSource) bool {
	return s.Location == v.Image.String()
}

// placesAt returns the places of the rules at a host.
func (v *view) placesAt(host string) (at []mirrors.PullSource) {
	for _, s := range v.rules().PullSources {
		if name := mirrors.Scope(s.Location).Host(); name == host || name == "docker.io" && host == "registry-1.docker.io" {
			at = append(at, s)
		}
	}
	return at
}

// urls are what requests were made to.
var urls = regexp.MustCompile(`https?://[^"\s]+`)

// nameless removes the image's names from a text, because they can contain any words.
func (v *view) nameless(text string) string {
	text = urls.ReplaceAllString(text, "URL")
	for _, s := range v.rules().PullSources {
		text = strings.ReplaceAll(text, v.placeOf(s), "IMAGE")
	}
	text = strings.ReplaceAll(text, v.Image.Name, "IMAGE")
	if strings.Contains(v.Container.Image, "/") {
		text = strings.ReplaceAll(text, v.Container.Image, "IMAGE")
	}
	return text
}

func upTo(text string, ends ...string) string {
	for _, end := range ends {
		text, _, _ = strings.Cut(text, end)
	}
	return text
}

// over returns why the result of a mirror may no longer be true: the mirror has served the same node since, or what the node was granted
// has changed.
func (v *view) over(a answer) string {
	at := v.at()
	if at.IsZero() {
		return ""
	}
	for _, p := range v.Log.Pulls {
		if p.Began.After(at) && slices.ContainsFunc(p.Tries, func(t accesslog.Tries) bool { return settles(t, a) }) {
			return "it has answered the node since then, at " + clock(p.Began)
		}
	}
	if granted := v.Granted; granted.After(at) && (a.state == refusing || a.state == untrusted || a.state == cameBack) {
		return "the logins or authorities for mirrors have changed since then, at " + clock(granted)
	}
	return ""
}

// settles reports whether a later try shows that a mirror's earlier problem is gone.
func settles(t accesslog.Tries, a answer) bool {
	switch a.state {
	case refusing, cameBack:
		return t.Place == a.place && t.Outcome == accesslog.Served
	case wrong, limited, incomplete, patchy:
		return false
	}
	return mirrors.Scope(t.Place).Host() == a.host() && (t.Outcome == accesslog.Served || t.Outcome == accesslog.Missing)
}

// clock writes a time as people compare it across machines.
func clock(t time.Time) string {
	return t.UTC().Format(time.RFC3339)
}
