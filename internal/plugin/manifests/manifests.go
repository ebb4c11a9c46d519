// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// PolicyKind is what OpenShift had before sets.
const PolicyKind = "ImageContentSourcePolicy"

// Manifests are the sets read from files, as an API server would hold them once the files were applied in order.
type Manifests struct {
	Sets []kinds.Set
	// Notes are for standard error, one a line.
	Notes []string

	passedOver int                       // objects of other kinds
	policies   bool                      // some of these are what OpenShift had before sets
	places     map[mirrors.Object]string // where each set was read
}

// Read reads the sets of files. Every error names the file and the document.
func Read(paths []string, stdin io.Reader) (*Manifests, error) {
	m := &Manifests{places: make(map[mirrors.Object]string)}
	if err := EachDocument(paths, stdin, m.readObject); err != nil {
		return nil, err
	}
	if len(m.Sets) == 0 {
		note := fmt.Sprintf("note: no %s in %s; objects of other kinds passed over: %d", kindNames(), output.Printable(strings.Join(paths, ", ")), m.passedOver)
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
	kind := kinds.Named(strings.TrimSuffix(object.Kind, "List"))
	switch {
	case object.Kind == "" || object.APIVersion == "":
		return errors.New("not a Kubernetes object: apiVersion and kind are required")
	case kind != nil && object.APIVersion != ours:
		return fmt.Errorf("apiVersion %q does not have kind %s; want %s", object.APIVersion, object.Kind, ours)
	case kind != nil && object.Kind == kind.Name:
		return m.readSet(kind, place, data)
	case kind != nil, object.Kind == "List" && object.APIVersion == "v1":
		return m.readList(kind, place, data)
	}
	m.passedOver++
	m.policies = m.policies || object.Kind == PolicyKind
	return nil
}

// readList takes the items of a list. Those of a list of one kind may go without apiVersion and kind.
func (m *Manifests) readList(kind *kinds.Kind, place string, data []byte) error {
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
		var err error
		if kind != nil && object == (metav1.TypeMeta{}) {
			err = m.readSet(kind, place+", "+at, item)
		} else {
			err = m.readObject(place+", "+at, item)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
}

func (m *Manifests) readSet(kind *kinds.Kind, place string, data []byte) error {
	set, err := kind.Decode(func(object any) error { return UnmarshalStrict(data, object) })
	name := set.GetName()
	if err != nil {
		return fmt.Errorf("%s %q: %w", kind.Name, name, err)
	}
	var required struct {
		Spec *json.RawMessage `json:"spec"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &required); err != nil {
		return err
	}
	if name == "" {
		return fmt.Errorf("%s: metadata.name: required", kind.Name)
	}
	if reasons := validation.NameIsDNSSubdomain(name, false); len(reasons) > 0 {
		return fmt.Errorf("%s: metadata.name %q: %s", kind.Name, name, strings.Join(reasons, "; "))
	}
	if required.Spec == nil {
		return fmt.Errorf("%s %q: spec: required", kind.Name, name)
	}
	m.add(place, set)
	return nil
}

// add takes the later one of two sets with one name, as applying both would.
func (m *Manifests) add(place string, set kinds.Set) {
	earlier, again := m.places[set.Ref()]
	m.places[set.Ref()] = place
	if !again {
		m.Sets = append(m.Sets, set)
		return
	}
	m.Notes = append(m.Notes, fmt.Sprintf("warning: DuplicateObject: %s: %s replaces %s", set.Ref(), place, earlier))
	*kinds.Find(m.Sets, set.Ref()) = set
}

// kindNames are the kinds of sets, for people.
func kindNames() string {
	names := make([]string, len(kinds.All))
	for i, kind := range kinds.All {
		names[i] = kind.Name
	}
	return strings.Join(names, " or ")
}
