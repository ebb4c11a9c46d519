// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
)

// isWrong reports whether the runtime received content that does not match the digest.
func (v *view) isWrong() bool {
	return read(v.nameless(v.text)) == wrong
}

// gave returns the places that the runtime can have content from.
func (v *view) gave() (all []accesslog.Tries) {
	if v.pull == nil {
		return nil
	}
	for _, t := range v.pull.Tries {
		isNew := !slices.ContainsFunc(all, func(o accesslog.Tries) bool { return o.Place == t.Place && o.Source == t.Source })
		if isNew && (t.Outcome == accesslog.Served || t.Outcome == accesslog.Sent) {
			all = append(all, t)
		}
	}
	return all
}

// wrongSomewhere is for content that does not match the digest, where it is not known which place it came from.
func (v *view) wrongSomewhere() *Finding {
	from := ", but it is unknown from which place"
	if gave := v.gave(); len(gave) > 0 {
		names := make([]string, len(gave))
		for i, t := range gave {
			names[i] = placeName(t.Place, t.Source)
		}
		from = ", from one of these: " + strings.Join(names, ", ")
	}
	return &Finding{
		Cause: WrongContent, Message: v.when() + "the runtime received content that does not match the digest" + from + "; " + v.quote(),
		Remedy: "kubectl mirrors check " + v.Image.String() + " shows what each mirror has under the digest. Push the image again to the mirror that has something else.\n" + v.lookAtRuntime(),
	}
}

// isFirst reports whether a place was the first that can have sent anything to the runtime. That place sent the manifest, because the
// runtime requests the manifest first.
func (v *view) isFirst(a answer) bool {
	gave := v.gave()
	return len(gave) > 0 && gave[0].Place == a.place && gave[0].Source == a.isSource
}

// decidesIncomplete returns the mirror that lacks a part of the image, if that is why the pull failed. No other mirror had the part, and
// the runtime does not report another failure.
func (v *view) decidesIncomplete(source *answer) *answer {
	whole := read(v.nameless(v.text))
	tells := source != nil && source.state < unknown || whole == missing || whole == blocked || v.text == ""
	if !tells || slices.ContainsFunc(v.answers, func(a answer) bool { return !a.isSource && (a.state == has || a.state == unknown) }) {
		return nil
	}
	if i := slices.IndexFunc(v.answers, func(a answer) bool { return !a.isSource && a.state == incomplete }); i >= 0 {
		return &v.answers[i]
	}
	return nil
}

// goodFrom matches the redirector's text about when a certificate is valid.
var goodFrom = regexp.MustCompile(`is good from (\d{4}-\d\d-\d\d) to `)

// isEarly reports whether the certificate in a text is not valid yet, by the clock of the node.
func (v *view) isEarly(why string) bool {
	found := goodFrom.FindStringSubmatch(why)
	if found == nil || v.at().IsZero() {
		return false
	}
	from, err := time.Parse(time.DateOnly, found[1])
	return err == nil && v.at().Before(from)
}

// saidOfSource describes what the source did. Registries do not reveal to anonymous clients which repositories exist.
func (a answer) saidOfSource() string {
	switch {
	case a.state == refusing && gotLogin.MatchString(a.why):
		return "refused the login that it was given"
	case a.state == refusing:
		return "refused access or has no such repository (registries give the same answer for both)"
	}
	return said[a.state]
}
