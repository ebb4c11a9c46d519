// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrorfiles"
	"github.com/mirrorset/mirrorset/internal/mirrorfiles/settle"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// converter collects sets, and what is lost on the way to them.
type converter struct {
	never, recursive bool

	sets       []setManifest
	files      []*mirrorfiles.Content // whose entries have no names
	saidIn     map[source]string      // where each source of these was read
	said       []string               // for standard error, once there is no error
	lost       bool
	passedOver []string // kinds that have no mirrors
	k3s        int      // registries.yaml files
}

// source is one that an entry is for.
type source struct {
	mode mirrors.Mode
	name string
}

// setManifest is a set as people write it.
type setManifest struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        setMetadata `json:"metadata"`
	// Spec has the entries in the field that its kind has for them. Those of all kinds have the same fields.
	Spec map[string][]configv1.ImageDigestMirrors `json:"spec"`

	kind  *kinds.Kind
	place string
}

type setMetadata struct {
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// say keeps a line for standard error.
func (c *converter) say(format string, args ...any) {
	c.said = append(c.said, fmt.Sprintf(format, args...))
}

// lose notes what does not carry over.
func (c *converter) lose(place, format string, args ...any) {
	c.lost = true
	c.say("warning: NotConverted: %s: %s", place, fmt.Sprintf(format, args...))
}

// elsewhere notes what no set has, with where it belongs.
func (c *converter) elsewhere(place, format string, args ...any) {
	c.say("warning: NotInSets: %s: %s", place, fmt.Sprintf(format, args...))
}

// sayOf says what else is to be said of a file than its entries.
func (c *converter) sayOf(place string, content *mirrorfiles.Content) {
	for _, text := range content.Lost {
		c.lose(place, "%s", text)
	}
	for _, text := range content.Elsewhere {
		c.elsewhere(place, "%s", text)
	}
	for _, text := range content.Ignored {
		c.say("note: %s: %s", place, text)
	}
}

// take takes what a file says.
func (c *converter) take(place string, content *mirrorfiles.Content) error {
	c.sayOf(place, content)
	for _, e := range content.Entries {
		if earlier, again := c.saidIn[source{e.Mode, e.Source}]; again {
			return fmt.Errorf("source %q already has an entry from %s; convert one of the two in a run of its own", e.Source, earlier)
		}
	}
	if c.saidIn == nil {
		c.saidIn = make(map[source]string)
	}
	for _, e := range content.Entries {
		c.saidIn[source{e.Mode, e.Source}] = place
	}
	content.Place = place
	c.files = append(c.files, content)
	return nil
}

// refuse leaves out the sets that an API server would not take, under whatever name.
func (c *converter) refuse() error {
	kept := make([]setManifest, 0, len(c.sets))
	for _, s := range c.sets {
		named := s
		named.Metadata.Name = "name"
		data, err := json.Marshal(&named)
		if err != nil {
			return err
		}
		why, err := manifests.WhyRefused(s.kind, data)
		if err != nil {
			return err
		}
		for _, text := range why {
			c.lose(s.place, "left out, because an API server refuses the object: %s", text)
		}
		if len(why) == 0 {
			kept = append(kept, s)
		}
	}
	c.sets = kept
	return nil
}

// settle leaves out of the files what sets cannot express together with everything else that is converted. It fails where that is too much for any rules.
func (c *converter) settle() error {
	var beside []mirrors.Set
	for _, s := range c.sets {
		set := mirrors.Set{Object: mirrors.Object{Kind: &s.kind.Kind, Name: s.Metadata.Name}}
		for _, e := range s.Spec[s.kind.Field] {
			entry := mirrors.SetEntry{Source: e.Source, Policy: mirrors.Policy(e.MirrorSourcePolicy)}
			for _, m := range e.Mirrors {
				entry.Mirrors = append(entry.Mirrors, string(m))
			}
			set.Entries = append(set.Entries, entry)
		}
		beside = append(beside, set)
	}
	lost, err := settle.Files(c.files, beside)
	if err != nil {
		return err
	}
	for _, loss := range lost {
		c.lose(loss.Place, "%s", loss.Text)
	}
	c.files = slices.DeleteFunc(c.files, func(f *mirrorfiles.Content) bool { return len(f.Entries) == 0 })
	return nil
}

// add takes a set, without a name where it has none that an API server takes.
func (c *converter) add(place string, kind *kinds.Kind, metadata setMetadata, entries []configv1.ImageDigestMirrors) {
	apiVersion, name := kind.GroupVersionKind().ToAPIVersionAndKind()
	c.sets = append(c.sets, setManifest{
		TypeMeta: metav1.TypeMeta{APIVersion: apiVersion, Kind: name}, Metadata: metadata,
		Spec: map[string][]configv1.ImageDigestMirrors{kind.Field: entries}, kind: kind, place: place,
	})
}

// nameSets makes sets of the entries without one, and gives all sets that have no valid name of their own, or one that is taken,
// the wanted name. Where that is taken too, a number is put behind it. It also renames an only object.
func (c *converter) nameSets(wanted string, isWanted bool) error {
	only := isWanted && len(c.sets) == 1 && len(c.files) == 0
	taken := make(map[string]bool)
	label := func(kind *kinds.Kind, name string) string { return kind.Name + "/" + name }
	var unnamed []*setManifest
	for i := range c.sets {
		s := &c.sets[i]
		reasons := validation.NameIsDNSSubdomain(s.Metadata.Name, false)
		switch {
		case only, len(reasons) > 0, taken[label(s.kind, s.Metadata.Name)]:
			unnamed = append(unnamed, s)
		default:
			taken[label(s.kind, s.Metadata.Name)] = true
			continue
		}
		switch {
		case isWanted:
		case len(reasons) > 0:
			return fmt.Errorf("%s: an API server refuses metadata.name %q; give another name with --name, such as --name=%s", s.place, s.Metadata.Name, repaired(s.Metadata.Name))
		default:
			return fmt.Errorf("%s: a second set would have the name %q; convert the two in separate runs, and name one set with --name", s.place, s.Metadata.Name)
		}
	}
	if isWanted && len(unnamed) == 0 && len(c.files) == 0 && len(c.sets) > 0 {
		return fmt.Errorf("--name applies to a single object, or to objects whose names an API server refuses; these %d objects have valid names", len(c.sets))
	}
	free := func(of ...*kinds.Kind) (name string) {
		for number := 1; ; number++ {
			name = wanted
			if number > 1 {
				name = fmt.Sprintf("%s-%d", wanted, number)
			}
			if !slices.ContainsFunc(of, func(k *kinds.Kind) bool { return taken[label(k, name)] }) {
				return name
			}
		}
	}
	for _, s := range unnamed {
		s.Metadata.Name = free(s.kind)
		taken[label(s.kind, s.Metadata.Name)] = true
	}
	if len(c.files) > 0 {
		c.addNameless(free(kinds.All...))
	}
	return nil
}

// addNameless makes a set of each kind of the entries that have none, where there are such.
func (c *converter) addNameless(name string) {
	for _, kind := range kinds.All {
		var entries []configv1.ImageDigestMirrors
		for _, file := range c.files {
			for _, e := range file.Entries {
				if e.Mode == kind.Mode {
					entries = append(entries, entryOf(e.SetEntry))
				}
			}
		}
		if len(entries) > 0 {
			c.add("", kind, setMetadata{Name: name}, entries)
		}
	}
}

// print prints the sets, once the reader of the other verbs has taken them, and what is odd about them.
func (c *converter) print(cmd *cobra.Command) error {
	if len(c.passedOver) > 0 {
		c.say("note: objects of other kinds ignored: %d (%s)", len(c.passedOver), strings.Join(unique(c.passedOver), ", "))
	}
	for _, line := range c.said {
		fmt.Fprintln(cmd.ErrOrStderr(), line)
	}
	if len(c.sets) == 0 {
		return errors.New("nothing could be converted")
	}
	documents := make([]string, len(c.sets))
	for i := range c.sets {
		text, err := yaml.Marshal(&c.sets[i])
		if err != nil {
			return err
		}
		documents[i] = string(text)
	}
	text := strings.Join(documents, "---\n")
	read, err := manifests.Read([]string{"-"}, strings.NewReader(text))
	if err != nil {
		return fmt.Errorf("an API server would refuse the result: %w", err)
	}
	for _, note := range read.Notes {
		fmt.Fprintln(cmd.ErrOrStderr(), note)
	}
	output.Warn(cmd.ErrOrStderr(), kinds.Merge(read.Sets, nil).Findings)
	if _, err := fmt.Fprint(cmd.OutOrStdout(), text); err != nil {
		return err
	}
	if c.lost {
		return command.Verdict(1)
	}
	return nil
}

// unique are the values in byte order, each once.
func unique(values []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(values)))
}
