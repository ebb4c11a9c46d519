// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/plugin/runtimes"
)

// explanation is what explain prints. Its JSON is a promise: fields may be added.
type explanation struct {
	// Image is the reference as asked for.
	Image string `json:"image"`
	// Source is the source that decides, as written; empty where none matches.
	Source string `json:"source"`
	// Blocked says that the source is never contacted.
	Blocked bool `json:"blocked"`
	// PullSources are tried in this order.
	PullSources []pullSource `json:"pullSources"`
	// Reference is the image as runtimes spell it.
	Reference string `json:"reference"`
	// Runtime is the one that the answer is for; absent where it is what the sets mean.
	Runtime string `json:"runtime,omitempty"`
	// Refused says why nothing can be pulled where the only mirrors of a blocked source cannot exist (E5); absent otherwise.
	Refused string `json:"refused,omitempty"`
	// Fails says why the pull fails whatever the mirrors have.
	Fails string `json:"fails,omitempty"`
	// NotInForce says why the runtime does not follow the rule that there is.
	NotInForce string `json:"notInForce,omitempty"`
	// Entries are all about the source that have a part in its rule.
	Entries []output.Entry `json:"entries"`
	// Inherited is what the rule has of broader sources, because there is no entry of that kind about the source itself (T4).
	Inherited []inheritance `json:"inherited,omitempty"`
	// Others are the sources that match as well and count for nothing, the most specific first.
	Others []otherSource `json:"others"`
	// Content is where containerd pulls from what a tag names, by digest.
	Content []pullSource `json:"content,omitempty"`
	// OtherMode is where images of the repository that are named the other way are pulled from, by digest where this one is named by
	// tag; absent where that is from the source alone.
	OtherMode *otherMode `json:"otherMode,omitempty"`
	// Shadow is how the image would be pulled if no set were in shadow mode; absent where that is as now.
	Shadow *shadowed `json:"shadow,omitempty"`
	// InForce is known where the sets are a cluster's.
	InForce []reach `json:"inForce,omitempty"`
	// Findings are what is odd about the source, and about entries that cannot decide.
	Findings []output.Finding `json:"findings"`

	ref mirrors.Reference
	res mirrors.Resolution
}

type pullSource struct {
	// Location is a full reference.
	Location string `json:"location"`
	// From are the names of the sets that brought it; none for the place that the image's own reference names.
	From []string `json:"from"`
	// Entries are those of these sets.
	Entries []output.Entry `json:"entries"`
	// Insecure allows it to be reached without TLS checks.
	Insecure bool `json:"insecure,omitempty"`
	// IfTagFound says that it is tried only if the tag was found there (T10).
	IfTagFound bool `json:"ifTagFound,omitempty"`
}

type inheritance struct {
	// Mode is what images are named by that the entries count for: digest or tag.
	Mode    string         `json:"mode"`
	Source  string         `json:"source"`
	Entries []output.Entry `json:"entries"`
}

type otherSource struct {
	Source  string         `json:"source"`
	Entries []output.Entry `json:"entries"`
}

func newExplanation(image string, ref mirrors.Reference, a runtimes.Answer, touched []mirrors.Finding) *explanation {
	x := &explanation{
		Image: image, Reference: ref.String(), Blocked: a.Blocked, Fails: a.Fails,
		PullSources: pullSourcesOf(a.PullSources), Entries: []output.Entry{}, Others: []otherSource{}, Findings: output.FindingsOf(touched),
		ref: ref, res: a.Resolution,
	}
	if a.Rule != nil {
		x.Source, x.Entries = string(a.Rule.Source), output.EntriesOf(a.Rule.From)
	}
	if a.Rule != nil && a.Rule.NoneServes(ref.Mode) {
		x.Refused, x.PullSources = "the source is blocked, and no mirror can serve it", []pullSource{}
	}
	if a.Pending != nil {
		x.NotInForce = a.Pending.Reason
	}
	x.addOthers(a)
	if x.Refused == "" {
		x.Content = contentOf(a)
	}
	return x
}

// addOthers tells what counts of broader sources and what does not.
func (x *explanation) addOthers(a runtimes.Answer) {
	counts := make(map[mirrors.Entry]bool)
	if a.Rule != nil {
		for _, e := range a.Rule.BlockedBy {
			counts[e] = true
		}
		for _, i := range a.Rule.Inherited {
			x.Inherited = append(x.Inherited, inheritance{Mode: i.Mode.String(), Source: string(i.Source), Entries: output.EntriesOf(i.From)})
			for _, e := range i.From {
				counts[e] = true
			}
		}
	}
	for _, rule := range a.Others {
		lost := slices.DeleteFunc(slices.Clone(rule.From), func(e mirrors.Entry) bool { return counts[e] })
		if len(lost) > 0 {
			x.Others = append(x.Others, otherSource{Source: string(rule.Source), Entries: output.EntriesOf(lost)})
		}
	}
}

func pullSourcesOf(sources []mirrors.PullSource) []pullSource {
	all := make([]pullSource, len(sources))
	for i, s := range sources {
		all[i] = pullSource{Location: s.Location, From: output.SetsOf(s.From), Entries: output.EntriesOf(s.From), Insecure: s.Insecure}
	}
	return all
}

// briefly names sets and their entries for people, as in 10-site[1].
func briefly(from []output.Entry) string {
	said := make([]string, len(from))
	for i, e := range from {
		said[i] = e.SetName() + e.Path[strings.IndexByte(e.Path, '['):]
	}
	return output.FirstOf(said, 10) // more than these would fill a line for nobody
}

func (x *explanation) print(out io.Writer, format string) error {
	switch format {
	case "json", "yaml":
		return output.Value(out, format, x)
	case "name":
		return printSetNames(out, mirrors.Objects(x.ruleEntries()))
	}
	var text bytes.Buffer
	x.head(&text)
	switch {
	case x.Fails != "":
		fmt.Fprintf(&text, "The pull fails: %s.\n", x.Fails)
	case x.Refused != "":
		fmt.Fprintf(&text, "The pull is refused: %s.\n", x.Refused)
	case len(x.PullSources) == 0:
		fmt.Fprintln(&text, "The pull is refused.")
	default:
		if err := printPullSources(&text, x.PullSources, format == "wide"); err != nil {
			return err
		}
	}
	if len(x.Content) > 0 {
		where := "there"
		if len(x.PullSources) > 1 {
			where = "at the first of these that has it"
		}
		fmt.Fprintf(&text, "\nThe tag is resolved %s; the image is then pulled by digest:\n", where)
		if err := printPullSources(&text, x.Content, format == "wide"); err != nil {
			return err
		}
	}
	_, err := text.WriteTo(out)
	return err
}

func (x *explanation) ruleEntries() []mirrors.Entry {
	if x.res.Rule == nil {
		return nil
	}
	return x.res.Rule.Entries()
}

// printSetNames prints sets as kubectl takes them for arguments.
func printSetNames(out io.Writer, objects []mirrors.Object) error {
	for _, o := range objects {
		if _, err := fmt.Fprintf(out, "%s.config.openshift.io/%s\n", strings.ToLower(o.Kind.Name), o.Name); err != nil {
			return err
		}
	}
	return nil
}

// head says which rule won and why.
func (x *explanation) head(text io.Writer) {
	fmt.Fprintf(text, "Image:   %s\n", x.ref)
	switch {
	case x.NotInForce != "":
		fmt.Fprintf(text, "Source:  none that %s can follow\n", x.Runtime)
	case x.Source == "":
		fmt.Fprintln(text, "Source:  none; no set has a source that matches")
	default:
		fmt.Fprintf(text, "Source:  %s (%s)\n", x.Source, briefly(x.Entries))
	}
	for _, i := range x.Inherited {
		fmt.Fprintf(text, "Broader: %s (%s) supplies the mirrors for %ss, because no effective entry for %s covers %[3]ss\n", i.Source, briefly(i.Entries), i.Mode, x.Source)
	}
	for _, other := range x.Others {
		fmt.Fprintf(text, "Unused:  %s (%s) also matches, but %s\n", other.Source, briefly(other.Entries), x.whyNot(other.Source))
	}
	if x.Blocked {
		fmt.Fprintf(text, "Blocked: the source is never contacted (NeverContactSource in %s)\n", briefly(output.EntriesOf(x.res.Rule.BlockedBy)))
	}
	if x.Shadow != nil {
		fmt.Fprintf(text, "Shadow:  %s\n", x.Shadow.say())
	}
	switch rule := x.res.Rule; {
	case rule == nil:
	case x.Refused != "":
		fmt.Fprintf(text, "Mirrors: none that can serve the image: %s cannot exist\n", places(rule.NamedFor(x.ref.Mode)))
	case len(rule.MirrorsFor(x.ref.Mode)) == 0:
		fmt.Fprintf(text, "Mirrors: none for %ss%s\n", x.ref.Mode, whyNone(rule, x.ref.Mode))
	case x.ref.Mode == mirrors.ByTag && slices.ContainsFunc(x.PullSources, func(s pullSource) bool { return len(s.From) > 0 }): // T12
		compare := ""
		if !x.Blocked {
			compare = "; compare it with the source: kubectl mirrors check --source"
		}
		fmt.Fprintf(text, "Trust:   nodes do not verify what a mirror serves for a tag%s\n", compare)
	}
	if x.OtherMode != nil && x.Refused == "" && len(x.Content) == 0 { // which show it
		fmt.Fprintf(text, "%-9s%s\n", strings.ToUpper(x.OtherMode.Mode[:1])+x.OtherMode.Mode[1:]+"s:", x.OtherMode.say())
	}
	if len(x.InForce) > 0 {
		fmt.Fprintf(text, "Nodes:   in force: %s\n", sayInForce(x.InForce))
	}
	fmt.Fprintln(text)
}

// places names mirrors.
func places(of []mirrors.Mirror) string {
	var all []string
	for _, m := range of {
		all = append(all, string(m.Location))
	}
	return strings.Join(all, ", ")
}

// whyNone says why a rule has no mirrors for a mode.
func whyNone(rule *mirrors.Rule, mode mirrors.Mode) string {
	for _, i := range rule.Inherited {
		if i.Mode == mode && len(i.TooLong) > 0 {
			return fmt.Sprintf(": with the mirrors of %s, the image's name would be longer than %d characters", briefly(output.EntriesOf(i.From)), mirrors.MaxNameLength)
		}
	}
	if from := rule.EntriesFor(mode); len(from) > 0 {
		return " in " + briefly(output.EntriesOf(from))
	}
	at := slices.IndexFunc(kinds.All, func(k *kinds.Kind) bool { return k.Mode == mode })
	return "; you can add some in an " + kinds.All[at].Name
}

// whyNot says why a source that matches lost.
func (x *explanation) whyNot(source string) string {
	if x.Runtime == runtimes.CRIO && len(source) == len(x.Source) {
		return "has the same length, and CRI-O then uses the wildcard" // Q1
	}
	return "is less specific"
}
