// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// causes are the causes for the states of a mirror.
var causes = map[state]Cause{
	wrong: WrongContent, untrusted: UnknownAuthority, uncertified: BadCertificate, early: BadCertificate, refusing: LoginWanted,
	proxied: MirrorDown, silent: MirrorDown, unreachable: MirrorDown, failing: MirrorDown, limited: RateLimited, cameBack: CameBack,
}

// places judges the attempt by the result of each place. The mirrors come first, because they are tried first and each mirror that did not
// report the image as missing could have provided it. The source comes next. A mirror that the runtime came back from may lack the image,
// so a certain fact about the source counts more.
func places(v *view) (*Finding, bool) {
	worst, over := v.worstMirror()
	source := v.sourceAnswer()
	switch {
	case v.isWrong() && (worst == nil || worst.state != wrong) && (source == nil || source.state != wrong):
		return v.wrongSomewhere(), true
	case worst != nil && worst.state != cameBack:
		return v.finding(causes[worst.state], "", v.remedyFor(*worst)), true
	case over != nil && worst == nil:
		return v.finding(Mended, "; "+over.over+", so the problem may be over", again), true
	case v.decidesIncomplete(source) != nil:
		return v.finding(Incomplete, "", v.remedyFor(*v.decidesIncomplete(source))), true
	case source != nil && source.state < limited:
		cause := map[state]Cause{wrong: WrongContent, untrusted: UnknownAuthority, uncertified: BadCertificate, early: BadCertificate, refusing: LoginWanted}[source.state]
		if cause == "" {
			cause = SourceDown
		}
		return v.finding(cause, "", v.remedyFor(*source)), true
	case source != nil && source.state == limited:
		return v.finding(RateLimited, "", v.remedyFor(*source)), true
	case worst != nil:
		more := "; only the runtime saw if that place refused access or lacks the image"
		if refusedRedirector.MatchString(worst.why) {
			more += ": it refused the redirector, which sent no login, but most registries refuse such a request even for public images"
		}
		return v.finding(CameBack, more, v.remedyFor(*worst)), true
	}
	return v.nobody(source), true
}

// nobody is for an image that no place gave, while none failed.
func (v *view) nobody(source *answer) *Finding {
	asked := slices.ContainsFunc(v.answers, func(a answer) bool { return !a.isSource && a.state == missing })
	lacking := !slices.ContainsFunc(v.answers, func(a answer) bool { return !a.isSource && a.state != missing }) && v.allMirrorsAnswered()
	served := slices.ContainsFunc(v.answers, func(a answer) bool { return !a.isSource && a.state == has })
	check := "kubectl mirrors check " + v.Image.String() + " contacts the mirrors from your machine, and with --source also the source."
	switch {
	case source != nil && source.state == missing && lacking, source != nil && source.state == blocked && lacking && asked:
		return v.finding(NobodyHasIt, "", "Correct the "+nameOf(v.Image.Mode)+" in the Pod, or push the image to a mirror. "+check)
	case served && source != nil:
		return v.finding(CameBack, "; it is unknown why the runtime did not pull it from there. Possible causes are a certificate of an authority that the node does not trust, and a mirror that refuses the runtime",
			v.lookAtRuntime()+"\nIf it is the authority, use the ConfigMap mirror-authorities: see docs/how-to/private-mirror.md.")
	case source != nil && source.state == unknown && lacking && asked:
		return v.finding(NobodyGaveIt, "; it is unknown if it lacks the image, is unreachable from the node or requires a login", check+"\n"+v.lookAtRuntime())
	}
	if f := v.fault(); f != nil {
		return &Finding{
			Cause:   MirrorDown,
			Message: fmt.Sprintf("node %s reports mirror %s as %s since %s (%s), and the result of the last attempt is not completely known%s", v.Node.Name, f.Mirror, f.State, clock(f.Since), f.Message, v.sayText()),
			Remedy:  v.reach(f.Mirror),
		}
	}
	const untold = "the available information does not show why the pull failed"
	if v.sayAll() != "" {
		return v.finding(Undecided, "; "+untold, check+"\n"+v.lookAtRuntime())
	}
	return &Finding{Cause: Undecided, Message: untold + v.sayText(), Remedy: check + "\n" + v.lookAtRuntime()}
}

// worstMirror returns the mirror whose answer decides, and the one that would if it were not over.
func (v *view) worstMirror() (worst, over *answer) {
	for i := range v.answers {
		a := &v.answers[i]
		switch {
		case a.isSource || causes[a.state] == "":
		case a.over != "":
			if over == nil || a.state < over.state {
				over = a
			}
		case worst == nil || a.state < worst.state:
			worst = a
		}
	}
	return worst, over
}

func (v *view) sourceAnswer() *answer {
	if i := slices.IndexFunc(v.answers, func(a answer) bool { return a.isSource }); i >= 0 {
		return &v.answers[i]
	}
	return nil
}

// allMirrorsAnswered reports whether something is known of each mirror that the rules have for the image.
func (v *view) allMirrorsAnswered() bool {
	return !slices.ContainsFunc(v.rules().PullSources, func(s mirrors.PullSource) bool {
		return !v.isSource(s) && !slices.ContainsFunc(v.answers, func(a answer) bool { return a.place == v.placeOf(s) })
	})
}

// fault returns what the node reports of a mirror of the image at present; nil where it reports nothing.
func (v *view) fault() *Fault {
	if i := slices.IndexFunc(v.Node.Faults, func(f Fault) bool { return v.names(f.Mirror) }); i >= 0 {
		return &v.Node.Faults[i]
	}
	return nil
}

// placesIn names the places in a state.
func (v *view) placesIn(s state) (names []string) {
	for _, a := range v.answers {
		if a.state == s {
			names = append(names, placeName(a.place, a.isSource))
		}
	}
	return names
}

func (v *view) finding(cause Cause, more, remedy string) *Finding {
	message := v.when() + v.sayAll() + more
	if said := v.quote(); said != "" {
		message += "; " + said
	}
	return &Finding{Cause: cause, Message: message, Remedy: remedy}
}

// sayAll describes the results of all places, those that decide first. It groups mirrors with the same result, and puts the source last.
func (v *view) sayAll() string {
	byState := make(map[state][]string)
	var source string
	for _, a := range v.answers {
		switch {
		case !a.isSource:
			byState[a.state] = append(byState[a.state], a.place)
		case a.state == blocked:
			source = v.source() + " is blocked" + v.by()
		case a.state == unknown:
			source = "the redirector sent the runtime to the source, which did not provide it either"
			if len(byState) == 0 {
				source = "the redirector sent the runtime to the source, which did not provide it"
			}
		default:
			source = "the source " + a.saidOfSource()
		}
	}
	var clauses []string
	for s := wrong; s < unknown; s++ {
		if of := byState[s]; len(of) > 0 {
			clauses = append(clauses, placesSaid(of)+" "+said[s])
		}
	}
	if source != "" {
		clauses = append(clauses, source)
	}
	if len(clauses) < 2 {
		return strings.Join(clauses, "")
	}
	return strings.Join(clauses[:len(clauses)-1], ", ") + ", and " + clauses[len(clauses)-1]
}

// most is how many places a sentence names.
const most = 5

func placesSaid(of []string) string {
	if len(of) == 1 {
		return "mirror " + of[0]
	}
	if more := len(of) - most; more > 0 {
		return fmt.Sprintf("mirrors %s and %d more", strings.Join(of[:most], ", "), more)
	}
	return "mirrors " + strings.Join(of[:len(of)-1], ", ") + " and " + of[len(of)-1]
}

func nameOf(mode mirrors.Mode) string {
	return mode.String()
}
