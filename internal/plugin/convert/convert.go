// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package convert is the verb that makes sets of what was there before them.
package convert

import (
	"bytes"
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
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// options are those of one run.
type options struct {
	files manifests.Flags
	name  string
}

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "convert -f FILE|DIR|-",
		Short: "Print ImageContentSourcePolicies, or a registries.yaml of k3s, as sets of mirrors",
		Long: "Print ImageContentSourcePolicies of OpenShift as ImageDigestMirrorSets, or a registries.yaml of k3s and RKE2, whose mirrors " +
			"are for tags too, as an ImageDigestMirrorSet and an ImageTagMirrorSet. What does not carry over goes to standard error, " +
			"as \"warning: NotConverted: <set>: <text>\".",
		Example: "  kubectl get imagecontentsourcepolicies -o yaml | kubectl mirrors convert -f -\n" +
			"  kubectl mirrors convert -f /etc/rancher/k3s/registries.yaml --name 10-site",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              o.run,
	}
	o.files.AddFilename(cmd)
	cmd.Flags().StringVar(&o.name, "name", "registries", "name of the sets that a registries.yaml becomes")
	command.CompleteWith(cmd, "name")
	return cmd
}

func (o *options) run(cmd *cobra.Command, _ []string) error {
	if reasons := validation.NameIsDNSSubdomain(o.name, false); len(reasons) > 0 {
		return fmt.Errorf("--name %q: %s", o.name, strings.Join(reasons, "; "))
	}
	c := converter{name: o.name}
	if err := o.files.EachDocument(cmd, c.read); err != nil {
		return err
	}
	if !c.named {
		if err := command.OnlyWith(cmd, "a registries.yaml", "name"); err != nil {
			return err
		}
	}
	return c.print(cmd)
}

// converter collects sets, and what is lost on the way to them.
type converter struct {
	name  string // of what has none
	named bool   // there was something without a name
	sets  []setManifest
	lost  []string
}

// setManifest is a set as people write it.
type setManifest struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        setMetadata `json:"metadata"`
	// Spec has the entries in the field that its kind has for them. Those of all kinds have the same fields.
	Spec map[string][]configv1.ImageDigestMirrors `json:"spec"`
}

type setMetadata struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
}

// lose notes what does not carry over.
func (c *converter) lose(set, format string, args ...any) {
	c.lost = append(c.lost, fmt.Sprintf("warning: NotConverted: %s: %s", mirrors.Object{Name: set}, fmt.Sprintf(format, args...)))
}

// read takes one object, or those of a list, in JSON.
func (c *converter) read(_ string, data []byte) error {
	if string(data) == "null" {
		return nil // nothing but comments
	}
	if !bytes.HasPrefix(data, []byte("{")) {
		return errors.New("neither a Kubernetes object nor a registries.yaml, which are mappings")
	}
	var object metav1.TypeMeta
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	switch {
	case object == (metav1.TypeMeta{}):
		return registriesConverter{c}.read(data)
	case object.Kind == manifests.PolicyKind || object.Kind == manifests.PolicyKind+"List":
		if object.APIVersion != policyVersion {
			return fmt.Errorf("apiVersion %q does not have kind %s; want %s", object.APIVersion, object.Kind, policyVersion)
		}
		if object.Kind == manifests.PolicyKind {
			return c.readPolicy(data)
		}
		return c.readItems(data)
	case object.Kind == "List" && object.APIVersion == "v1":
		return c.readItems(data)
	}
	return fmt.Errorf("%s is neither an %s nor a registries.yaml, and cannot be converted", object.Kind, manifests.PolicyKind)
}

func (c *converter) readItems(data []byte) error {
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	for i, item := range list.Items {
		if err := c.read("", item); err != nil {
			return fmt.Errorf("items[%d]: %w", i, err)
		}
	}
	return nil
}

// add takes the entries, as far as an API server and the runtimes would, for a set of each of some kinds.
func (c *converter) add(metadata setMetadata, entries []configv1.ImageDigestMirrors, of ...*kinds.Kind) error {
	if slices.ContainsFunc(c.sets, func(s setManifest) bool { return s.Metadata.Name == metadata.Name }) {
		return fmt.Errorf("a second set would be called %q; convert one of them by itself, or with --name", metadata.Name)
	}
	var kept []configv1.ImageDigestMirrors
	for _, entry := range entries {
		entry.Mirrors = c.usable(metadata.Name, entry)
		if len(entry.Mirrors) > 0 {
			kept = append(kept, entry)
			continue
		}
		// Without mirrors it would switch off those of a broader source, which it did not do before.
		c.lose(metadata.Name, "source %q: no mirror is left, so that there is no entry for it", entry.Source)
	}
	if len(kept) == 0 {
		return nil
	}
	for _, kind := range of {
		apiVersion, name := kind.GroupVersionKind().ToAPIVersionAndKind()
		c.sets = append(c.sets, setManifest{
			TypeMeta: metav1.TypeMeta{APIVersion: apiVersion, Kind: name}, Metadata: metadata, Spec: map[string][]configv1.ImageDigestMirrors{kind.Field: kept},
		})
	}
	return nil
}

// usable returns the mirrors that a set may name for the source, each once.
func (c *converter) usable(set string, entry configv1.ImageDigestMirrors) []configv1.ImageMirror {
	var kept []configv1.ImageMirror
	for _, m := range entry.Mirrors {
		rule := mirrors.Rule{Source: mirrors.Scope(entry.Source), Mirrors: []mirrors.Mirror{{Location: mirrors.Scope(m), Modes: mirrors.ByDigest | mirrors.ByTag}}}
		if err := rule.Validate(); err != nil {
			c.lose(set, "%v", err)
		} else if !slices.Contains(kept, m) {
			kept = append(kept, m)
		}
	}
	return kept
}

// print prints the sets, once the reader of the other verbs has taken them, and what is odd about them.
func (c *converter) print(cmd *cobra.Command) error {
	for _, lost := range c.lost {
		fmt.Fprintln(cmd.ErrOrStderr(), lost)
	}
	if len(c.sets) == 0 {
		return errors.New("nothing is left that could be converted")
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
		return fmt.Errorf("the result is not what an API server takes: %w", err)
	}
	output.Warn(cmd.ErrOrStderr(), kinds.Merge(read.Sets, nil).Findings)
	_, err = fmt.Fprint(cmd.OutOrStdout(), text)
	return err
}

// policyVersion is the apiVersion of an ImageContentSourcePolicy.
const policyVersion = "operator.openshift.io/v1alpha1"

// policy is an ImageContentSourcePolicy. It has mirrors for digests only.
type policy struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta `json:"metadata"`
	Spec            struct {
		RepositoryDigestMirrors []struct {
			Source  string                 `json:"source"`
			Mirrors []configv1.ImageMirror `json:"mirrors"`
		} `json:"repositoryDigestMirrors"`
	} `json:"spec"`
	Status json.RawMessage `json:"status"`
}

func (c *converter) readPolicy(data []byte) error {
	var p policy
	if err := manifests.UnmarshalStrict(data, &p); err != nil {
		return fmt.Errorf("%s %q: %w", manifests.PolicyKind, p.Metadata.Name, err)
	}
	if reasons := validation.NameIsDNSSubdomain(p.Metadata.Name, false); len(reasons) > 0 {
		return fmt.Errorf("%s: metadata.name %q: %s", manifests.PolicyKind, p.Metadata.Name, strings.Join(reasons, "; "))
	}
	var entries []configv1.ImageDigestMirrors
	for _, m := range p.Spec.RepositoryDigestMirrors {
		entries = append(entries, configv1.ImageDigestMirrors{Source: m.Source, Mirrors: m.Mirrors})
	}
	return c.add(setMetadata{Name: p.Metadata.Name, Labels: p.Metadata.Labels}, entries, kinds.Digest)
}
