// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrorfiles"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// policyVersion is the apiVersion of an ImageContentSourcePolicy.
const policyVersion = "operator.openshift.io/v1alpha1"

// readDocument takes one document.
func (c *converter) readDocument(place string, data []byte, repeated []string) error {
	before := len(c.passedOver)
	if err := c.read(place, data); err != nil || len(c.passedOver) > before {
		return err
	}
	for _, text := range repeated {
		c.say("warning: RepeatedField: %s: %s", place, text)
	}
	return nil
}

// read takes one document, or one object of a list, in JSON.
func (c *converter) read(place string, data []byte) error {
	if string(data) == "null" {
		return nil // nothing but comments
	}
	if !bytes.HasPrefix(data, []byte("{")) {
		return errors.New("not a mapping, so neither a Kubernetes object nor a mirror configuration")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	var object metav1.TypeMeta
	for field, into := range map[string]*string{"kind": &object.Kind, "apiVersion": &object.APIVersion} {
		if raw, ok := fields[field]; ok && json.Unmarshal(raw, into) != nil {
			return fmt.Errorf("%s is not text", field)
		}
	}
	if object.Kind == "" {
		return c.readFile(place, data, fields)
	}
	set, isList := strings.CutSuffix(object.Kind, "List")
	kind := kinds.Named(set)
	switch {
	case set == manifests.PolicyKind && object.APIVersion != policyVersion:
		return fmt.Errorf("apiVersion %q does not have kind %s; write %s", object.APIVersion, object.Kind, policyVersion)
	case kind != nil && object.APIVersion != configv1.GroupVersion.String():
		return fmt.Errorf("apiVersion %q does not have kind %s; write %s", object.APIVersion, object.Kind, configv1.GroupVersion)
	case isList && (set == "" && object.APIVersion == "v1" || set == manifests.PolicyKind || kind != nil):
		return c.readItems(place, object, data)
	case set == manifests.PolicyKind:
		return c.readPolicy(place, data)
	case kind != nil:
		return c.readSet(place, kind, data)
	case object.APIVersion == mirrorfiles.TalosVersion && slices.Contains(mirrorfiles.TalosKinds, object.Kind):
		return c.takeRead(place, data, mirrorfiles.TalosDocument)
	}
	return c.readForeign(place, object, data)
}

// readForeign passes over an object of another kind, unless it was to be one that can be converted.
func (c *converter) readForeign(place string, object metav1.TypeMeta, data []byte) error {
	var content map[string]any
	if err := utiljson.Unmarshal(data, &content); err != nil {
		return err
	}
	foreign := manifests.JudgeForeign(object, content)
	near := slices.IndexFunc(convertible, func(known metav1.TypeMeta) bool {
		return manifests.IsNear(strings.TrimSuffix(object.Kind, "List"), known.Kind)
	})
	switch {
	case foreign.Meant != "":
		c.lose(place, "%s", foreign.Meant)
	case near >= 0:
		c.lose(place, "apiVersion %q does not have kind %s; write %s, kind %s", object.APIVersion, object.Kind, convertible[near].APIVersion, convertible[near].Kind)
	case looksLikeMirrors(object.Kind):
		c.lose(place, "kind %q of apiVersion %q cannot be converted; the kind must be %s", object.Kind, object.APIVersion, kindNames())
	default:
		c.passedOver = append(c.passedOver, object.Kind)
		if foreign.PassedOver != "" {
			metadata, _ := content["metadata"].(map[string]any)
			name, _ := metadata["name"].(string)
			c.say("warning: PassedOver: %s %q: %s: %s", object.Kind, name, place, foreign.PassedOver)
		}
	}
	return nil
}

// convertible are the kinds other than those of sets.
var convertible = func() []metav1.TypeMeta {
	all := []metav1.TypeMeta{{APIVersion: policyVersion, Kind: manifests.PolicyKind}}
	for _, kind := range mirrorfiles.TalosKinds {
		all = append(all, metav1.TypeMeta{APIVersion: mirrorfiles.TalosVersion, Kind: kind})
	}
	return all
}()

// looksLikeMirrors reports whether a kind is ours but for a slip, or one of OpenShift that nothing here reads.
func looksLikeMirrors(kind string) bool {
	lower := strings.ToLower(kind)
	return slices.ContainsFunc([]string{"mirrorset", "contentsourcepolicy", "imagecontentpolicy"}, func(part string) bool { return strings.Contains(lower, part) })
}

// kindNames are the kinds that can be converted, for people.
func kindNames() string {
	names := []string{manifests.PolicyKind}
	for _, kind := range kinds.All {
		names = append(names, kind.Name)
	}
	return strings.Join(names, " or ")
}

// readFile takes a file of another program than Kubernetes, which is known by its fields.
func (c *converter) readFile(place string, data []byte, fields map[string]json.RawMessage) error {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { _, ok := fields[name]; return ok })
	}
	switch {
	case has(mirrorfiles.InstallConfigFields...):
		return c.takeRead(place, data, mirrorfiles.InstallConfig)
	case has("machine"):
		return c.takeRead(place, data, mirrorfiles.TalosMachine)
	case has("mirrors", "configs", "auths"):
		c.k3s++
		if !c.never {
			c.say("note: %s: if the nodes run with disable-default-registry-endpoint, give --never-contact-source; without it the sets let nodes contact the sources", place)
		}
		return c.takeRead(place, data, func(data []byte) (*mirrorfiles.Content, error) { return mirrorfiles.K3s(data, c.never) })
	case mirrorfiles.DisablesDefaultEndpoint(fields) && !c.never:
		return errors.New("disable-default-registry-endpoint is true, so nodes never contact a registry that has mirrors: give --never-contact-source")
	case mirrorfiles.ConfiguresK3s(fields):
		c.sayOf(place, mirrorfiles.K3sItself(fields))
		return nil
	case len(fields) == 0:
		return nil
	}
	c.lose(place, "it has no kind, and none of the fields of a known mirror configuration (mirrors, machine, %s); its fields are %s",
		strings.Join(mirrorfiles.InstallConfigFields, ", "), some(slices.Sorted(maps.Keys(fields))))
	return nil
}

// some quotes and cuts the first few.
func some(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%.40q", name)
	}
	return output.FirstOf(quoted, 5)
}

func (c *converter) takeRead(place string, data []byte, read func([]byte) (*mirrorfiles.Content, error)) error {
	content, err := read(data)
	if err != nil {
		return err
	}
	return c.take(place, content)
}

// readItems takes the objects of a list. Those of a list of one kind may go without apiVersion and kind.
func (c *converter) readItems(place string, of metav1.TypeMeta, data []byte) error {
	var list struct {
		Items []map[string]json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return errors.New("items is not a list of objects")
	}
	for i, item := range list.Items {
		at := fmt.Sprintf("items[%d]", i)
		if name := strings.TrimSuffix(of.Kind, "List"); name != "" && item["kind"] == nil && item["apiVersion"] == nil {
			item["kind"], item["apiVersion"] = fmt.Appendf(nil, "%q", name), fmt.Appendf(nil, "%q", of.APIVersion)
		}
		if item["kind"] == nil {
			return fmt.Errorf("%s: not a Kubernetes object: apiVersion and kind are required", at)
		}
		object, err := json.Marshal(item)
		if err != nil {
			return err
		}
		if err := c.read(place+", "+at, object); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
}

// decodeStrict refuses unknown and repeated fields, as an API server does.
func decodeStrict(data []byte, into any) error {
	unknown, err := mirrorfiles.Decode(data, into)
	if err == nil && len(unknown) > 0 {
		err = errors.New(strings.Join(unknown, "; "))
	}
	return err
}

// policy is an ImageContentSourcePolicy. It has mirrors for digests only.
type policy struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta `json:"metadata"`
	Spec            struct {
		RepositoryDigestMirrors []mirrorfiles.ContentSource `json:"repositoryDigestMirrors"`
	} `json:"spec"`
	Status json.RawMessage `json:"status"`
}

func (c *converter) readPolicy(place string, data []byte) error {
	var p policy
	if err := decodeStrict(data, &p); err != nil {
		return fmt.Errorf("%s %q: %w", manifests.PolicyKind, p.Metadata.Name, err)
	}
	place = fmt.Sprintf("%s: %s %q", place, manifests.PolicyKind, p.Metadata.Name)
	content := mirrorfiles.ContentSources("spec.repositoryDigestMirrors", p.Spec.RepositoryDigestMirrors)
	c.sayOf(place, content)
	entries := make([]configv1.ImageDigestMirrors, len(content.Entries))
	for i, e := range content.Entries {
		entries[i] = entryOf(e.SetEntry)
	}
	if len(entries) > 0 {
		c.add(place, kinds.Digest, metadataOf(&p.Metadata), entries)
	}
	return nil
}

// readSet takes a set as it is.
func (c *converter) readSet(place string, kind *kinds.Kind, data []byte) error {
	set, err := kind.Decode(func(object any) error { return decodeStrict(data, object) })
	if err != nil {
		return fmt.Errorf("%s %q: %w", kind.Name, set.GetName(), err)
	}
	entries := make([]configv1.ImageDigestMirrors, len(set.Entries))
	for i, e := range set.Entries {
		entries[i] = entryOf(e)
	}
	c.add(fmt.Sprintf("%s: %s %q", place, kind.Name, set.GetName()), kind, metadataOf(set.Object), entries)
	return nil
}

func entryOf(e mirrors.SetEntry) configv1.ImageDigestMirrors {
	entry := configv1.ImageDigestMirrors{Source: e.Source, MirrorSourcePolicy: configv1.MirrorSourcePolicy(e.Policy)}
	for _, m := range e.Mirrors {
		entry.Mirrors = append(entry.Mirrors, configv1.ImageMirror(m))
	}
	return entry
}

func metadataOf(object metav1.Object) setMetadata {
	annotations := maps.Clone(object.GetAnnotations())
	delete(annotations, manifests.LastApplied)
	return setMetadata{Name: object.GetName(), Labels: object.GetLabels(), Annotations: annotations}
}
