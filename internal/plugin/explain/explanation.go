// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

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
	// Fails says why the pull fails whatever the mirrors have.
	Fails string `json:"fails,omitempty"`
	// NotInForce says why the runtime does not follow the rule that there is.
	NotInForce string `json:"notInForce,omitempty"`
	// Entries are all that have a part in the source's rule.
	Entries []output.Entry `json:"entries"`
	// Others are the sources that match as well and count for nothing, the most specific first.
	Others []otherSource `json:"others"`
	// Content is where containerd pulls from what a tag names, by digest.
	Content []pullSource `json:"content,omitempty"`
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
	if a.Pending != nil {
		x.NotInForce = a.Pending.Reason
	}
	for _, rule := range a.Others {
		x.Others = append(x.Others, otherSource{Source: string(rule.Source), Entries: output.EntriesOf(rule.From)})
	}
	if len(a.Content) > 0 {
		x.Content = pullSourcesOf(a.Content)
	}
	return x
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
	const most = 10 // more than these would fill a line for nobody
	said := make([]string, 0, min(len(from), most))
	for _, e := range from[:min(len(from), most)] {
		said = append(said, e.SetName()+e.Path[strings.IndexByte(e.Path, '['):])
	}
	text := strings.Join(said, ", ")
	if len(from) > most {
		text += fmt.Sprintf(" and %d more", len(from)-most)
	}
	return text
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
	case len(x.PullSources) == 0:
		fmt.Fprintln(&text, "The pull is refused.")
	default:
		if err := printPullSources(&text, x.PullSources, format == "wide"); err != nil {
			return err
		}
	}
	if len(x.Content) > 0 {
		fmt.Fprintln(&text, "\nThe tag is resolved there; what it names is then pulled by digest:")
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
	return x.res.Rule.From
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
		fmt.Fprintf(text, "Source:  none that %s follows\n", x.Runtime)
	case x.Source == "":
		fmt.Fprintln(text, "Source:  no set has a matching source")
	default:
		fmt.Fprintf(text, "Source:  %s (%s)\n", x.Source, briefly(x.Entries))
	}
	for _, other := range x.Others {
		fmt.Fprintf(text, "Not:     %s (%s), which matches too but is %s\n", other.Source, briefly(other.Entries), x.whyNot(other.Source))
	}
	if x.Blocked {
		fmt.Fprintf(text, "Blocked: the source is never contacted, says %s\n", briefly(output.EntriesOf(x.res.Rule.BlockedBy)))
	}
	if x.Source != "" && x.ref.Mode != mirrors.ByDigest {
		fmt.Fprintln(text, "Mirrors: none are used, because the image is not named by digest")
	}
	if len(x.InForce) > 0 {
		fmt.Fprintf(text, "Nodes:   in force from %s\n", sayInForce(x.InForce))
	}
	fmt.Fprintln(text)
}

// whyNot says why a source that matches lost.
func (x *explanation) whyNot(source string) string {
	if x.Runtime == runtimes.CRIO && len(source) == len(x.Source) {
		return "equally long, and of these CRI-O takes the wildcard" // Q1
	}
	return "less specific"
}

func printPullSources(out io.Writer, sources []pullSource, wide bool) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	heading := "ORDER\tPULL SOURCE\tFROM"
	if wide {
		heading = "ORDER\tPULL SOURCE\tTLS\tFROM"
	}
	fmt.Fprintln(table, heading)
	for i, s := range sources {
		columns := []string{strconv.Itoa(i + 1), s.Location}
		from := briefly(s.Entries)
		if wide {
			columns = append(columns, tlsOf(s))
			from = atLength(s.Entries)
		}
		if from == "" {
			from = "<image reference>"
		}
		fmt.Fprintln(table, strings.Join(append(columns, from), "\t"))
	}
	return table.Flush()
}

func tlsOf(s pullSource) string {
	if s.Insecure {
		return "unchecked"
	}
	return "checked"
}

// atLength names sets and their entries as a JSON path does.
func atLength(from []output.Entry) string {
	said := make([]string, len(from))
	for i, e := range from {
		said[i] = e.SetName() + " " + e.Path
	}
	return strings.Join(said, ", ")
}
