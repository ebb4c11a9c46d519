// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

const setKind = configv1.KindImageDigestMirrorSet

// PolicyKind is what OpenShift had before sets.
const PolicyKind = "ImageContentSourcePolicy"

// Manifests are the sets read from files, as an API server would hold them once the files were applied in order.
type Manifests struct {
	Sets []configv1.ImageDigestMirrorSet
	// Notes are for standard error, one a line.
	Notes []string

	passedOver int               // objects of other kinds
	policies   bool              // some of these are what OpenShift had before sets
	places     map[string]string // where each set was read, by its name
}

// Read reads the sets of files. Every error names the file and the document.
func Read(paths []string, stdin io.Reader) (*Manifests, error) {
	m := &Manifests{places: make(map[string]string)}
	if err := EachDocument(paths, stdin, m.readObject); err != nil {
		return nil, err
	}
	if len(m.Sets) == 0 {
		note := fmt.Sprintf("note: no %s in %s; objects of other kinds passed over: %d", setKind, output.Printable(strings.Join(paths, ", ")), m.passedOver)
		if m.policies {
			note += "; kubectl mirrors convert makes sets of each " + PolicyKind
		}
		m.Notes = append(m.Notes, note)
	}
	return m, nil
}

// readObject takes one object, or those of a list, in JSON.
func (m *Manifests) readObject(place string, data []byte) error {
	if string(data) == "null" {
		return nil // nothing but comments
	}
	if !bytes.HasPrefix(data, []byte("{")) {
		return errors.New("not a Kubernetes object, which is a mapping with apiVersion and kind")
	}
	var object metav1.TypeMeta
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	ours := configv1.GroupVersion.String()
	switch {
	case object.Kind == "" || object.APIVersion == "":
		return errors.New("not a Kubernetes object: apiVersion and kind are required")
	case (object.Kind == setKind || object.Kind == setKind+"List") && object.APIVersion != ours:
		return fmt.Errorf("apiVersion %q does not have kind %s; want %s", object.APIVersion, object.Kind, ours)
	case object.Kind == setKind:
		return m.readSet(place, data)
	case object.Kind == setKind+"List", object.Kind == "List" && object.APIVersion == "v1":
		return m.readList(place, data, object)
	}
	m.passedOver++
	m.policies = m.policies || object.Kind == PolicyKind
	return nil
}

// readList takes the items of a list. Those of a typed list may go without apiVersion and kind.
func (m *Manifests) readList(place string, data []byte, list metav1.TypeMeta) error {
	var content struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ListMeta   `json:"metadata"`
		Items           []json.RawMessage `json:"items"`
	}
	if err := UnmarshalStrict(data, &content); err != nil {
		return err
	}
	for i, item := range content.Items {
		at := fmt.Sprintf("items[%d]", i)
		var object metav1.TypeMeta
		if err := json.Unmarshal(item, &object); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		read := m.readObject
		if list.Kind != "List" && object == (metav1.TypeMeta{}) {
			read = m.readSet
		}
		if err := read(place+", "+at, item); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
}

func (m *Manifests) readSet(place string, data []byte) error {
	var set configv1.ImageDigestMirrorSet
	if err := UnmarshalStrict(data, &set); err != nil {
		return fmt.Errorf("%s %q: %w", setKind, set.Name, err)
	}
	var required struct {
		Spec *json.RawMessage `json:"spec"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &required); err != nil {
		return err
	}
	if set.Name == "" {
		return fmt.Errorf("%s: metadata.name: required", setKind)
	}
	if reasons := validation.NameIsDNSSubdomain(set.Name, false); len(reasons) > 0 {
		return fmt.Errorf("%s: metadata.name %q: %s", setKind, set.Name, strings.Join(reasons, "; "))
	}
	if required.Spec == nil {
		return fmt.Errorf("%s %q: spec: required", setKind, set.Name)
	}
	m.add(place, set)
	return nil
}

// add takes the later one of two sets with one name, as applying both would.
func (m *Manifests) add(place string, set configv1.ImageDigestMirrorSet) {
	earlier, again := m.places[set.Name]
	m.places[set.Name] = place
	if !again {
		m.Sets = append(m.Sets, set)
		return
	}
	m.Notes = append(m.Notes, fmt.Sprintf("warning: DuplicateObject: %s: %s replaces %s", set.Name, place, earlier))
	at := slices.IndexFunc(m.Sets, func(s configv1.ImageDigestMirrorSet) bool { return s.Name == set.Name })
	m.Sets[at] = set
}
