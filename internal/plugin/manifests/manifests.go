// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/plugin/schema"
)

// Manifests are the sets read from files, as an API server would hold them once the files were applied in order.
type Manifests struct {
	Sets []kinds.Set
	// Refused are the objects that the API server would not take.
	Refused []Refusal
	// Notes are for standard error, one a line.
	Notes []string

	passedOver int                       // objects of other kinds
	places     map[mirrors.Object]string // where each set was read
}

// Read reads the sets of files, all of which the API server has to take. Every error names the file and the document.
func Read(paths []string, stdin io.Reader) (*Manifests, error) {
	in := input{filenames: paths, stdin: stdin}
	m, err := in.read(context.Background())
	if err != nil {
		return nil, err
	}
	if len(m.Refused) > 0 {
		all := make([]error, len(m.Refused))
		for i, refusal := range m.Refused {
			all[i] = refusal
		}
		return nil, errors.Join(all...)
	}
	return m, nil
}

func (in *input) read(ctx context.Context) (*Manifests, error) {
	m := &Manifests{places: make(map[mirrors.Object]string)}
	err := in.each(ctx, func(d document) error {
		content, _ := d.plain.(map[string]any)
		m.readObject(object{place: d.place, data: d.json, content: content, positions: positionsOf(d)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(m.Sets) == 0 && len(m.Refused) == 0 {
		m.note("note: no %s in %s; objects of other kinds ignored: %d", kindNames(), output.Printable(in.names()), m.passedOver)
	}
	return m, nil
}

// names are those of all that was read, for people.
func (in *input) names() string {
	if in.kustomize != "" {
		return in.kustomize
	}
	names := slices.Clone(in.filenames)
	if at := slices.Index(names, "-"); at >= 0 {
		names[at] = "standard input"
	}
	return strings.Join(names, ", ")
}

func (m *Manifests) note(format string, args ...any) {
	m.Notes = append(m.Notes, fmt.Sprintf(format, args...))
}

// object is one that a document has, or an item of a list in it.
type object struct {
	metav1.TypeMeta
	place string
	data  []byte // in JSON
	positions

	isItem  bool
	content map[string]any // nil until the data are read
}

// name is that in the metadata, if there is one.
func (o *object) name() string {
	metadata, _ := o.content["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	return name
}

// readObject takes one object, or those of a list.
func (m *Manifests) readObject(o object) {
	if string(o.data) == "null" {
		return // nothing but comments
	}
	if !bytes.HasPrefix(o.data, []byte("{")) {
		m.refuse(o, "not a Kubernetes object: a mapping with apiVersion and kind is required")
		return
	}
	if o.content == nil {
		if err := utiljson.Unmarshal(o.data, &o.content); err != nil {
			m.refuse(o, err.Error())
			return
		}
	}
	version, isText := o.content["apiVersion"].(string)
	name, alsoText := o.content["kind"].(string)
	if o.TypeMeta = (metav1.TypeMeta{APIVersion: version, Kind: name}); !isText || !alsoText || version == "" || name == "" {
		m.readUntyped(o)
		return
	}
	m.noteRepeats(o)
	kind := kinds.Named(name)
	switch {
	case kind != nil && version == configv1.GroupVersion.String():
		m.readSet(kind, o)
	case o.isList():
		m.readList(o)
	default:
		m.readForeign(o)
	}
}

// isList reports whether an object is a list that kubectl applies the items of, and that may have sets.
func (o *object) isList() bool {
	if o.APIVersion == "v1" && o.Kind == "List" {
		return true
	}
	return o.APIVersion == configv1.GroupVersion.String() && strings.HasSuffix(o.Kind, "List") && kinds.Named(strings.TrimSuffix(o.Kind, "List")) != nil
}

// refusedList says why kubectl applies nothing of a list; "" where it does.
func (o *object) refusedList(items []any) string {
	for i, content := range items {
		fields, _ := content.(map[string]any)
		item := object{}
		item.APIVersion, _ = fields["apiVersion"].(string)
		item.Kind, _ = fields["kind"].(string)
		switch {
		case item.isList():
			return fmt.Sprintf("items[%d] is a list in a list, and kubectl applies nothing from such a file; move its items to the outer list", i)
		case o.Kind != "List" && item.Kind != "" && item.Kind+"List" != o.Kind:
			return fmt.Sprintf("items[%d] is not a %s, and kubectl applies nothing from such a list; write apiVersion: v1 and kind: List for the list", i, strings.TrimSuffix(o.Kind, "List"))
		}
	}
	return ""
}

// noteRepeats warns of keys that a mapping has twice; kubectl sends only the last value. An item of a list has no document of
// its own.
func (m *Manifests) noteRepeats(o object) {
	if o.isItem || !o.isList() && kinds.Named(o.Kind) == nil {
		return
	}
	for _, r := range o.repeats() {
		m.note("warning: RepeatedField: %s %q: %s: line %d: the key %q is repeated in this mapping; kubectl uses the last value, and the others are lost", o.Kind, o.name(), o.place, r.line, r.key)
	}
}

// readList takes the items of a list. Those of a list of one kind may go without apiVersion and kind.
func (m *Manifests) readList(o object) {
	items, isList := o.content["items"].([]any)
	if !isList {
		m.refuse(o, fmt.Sprintf("%s without a list of items; kubectl would apply nothing from it", o.Kind))
		return
	}
	if why := o.refusedList(items); why != "" {
		m.refuse(o, why)
		return
	}
	for i, content := range items {
		at := fmt.Sprintf("items[%d]", i)
		item := object{place: o.place + ", " + at, positions: o.in(at), isItem: true}
		if fields, ok := content.(map[string]any); ok && o.Kind != "List" && fields["kind"] == nil && fields["apiVersion"] == nil {
			fields["apiVersion"], fields["kind"] = o.APIVersion, strings.TrimSuffix(o.Kind, "List")
		}
		var err error
		if item.data, err = json.Marshal(content); err != nil {
			m.refuse(item, err.Error())
			continue
		}
		if content == nil {
			item.data = []byte("[]") // unlike a document of comments, an error
		}
		m.readObject(item)
	}
}

// readSet takes a set, if the API server does.
func (m *Manifests) readSet(kind *kinds.Kind, o object) {
	judge, err := schema.Of(kind)
	if err != nil {
		panic(err) // the CRD is built in, and a test reads it
	}
	verdict := judge.Judge(o.content)
	if len(verdict.Causes) > 0 {
		m.refuseSet(kind, o, verdict.Causes)
		return
	}
	for _, cause := range verdict.ServerSide {
		m.note("warning: RefusedServerSide: %s: %s: line %d: %s; the API server accepts the object from kubectl apply, but refuses it from kubectl apply --server-side, which Flux uses: delete the field, or give it another value",
			mirrors.Object{Kind: &kind.Kind, Name: o.name()}, o.place, o.lineOf(cause.Field), o.say(cause))
	}
	if size := o.sizeOfAnnotations(); size > maxAnnotations {
		m.note("warning: TooLargeForApply: %s: %s: kubectl apply keeps a copy of the object in an annotation, so the annotations would have %d bytes, and only %d are allowed; use kubectl apply --server-side, or split the set",
			mirrors.Object{Kind: &kind.Kind, Name: o.name()}, o.place, size, maxAnnotations)
	}
	set, err := kind.Decode(func(into any) error {
		return runtime.DefaultUnstructuredConverter.FromUnstructured(verdict.Stored, into)
	})
	if err != nil {
		m.refuse(o, fmt.Sprintf("%s %q: %v", kind.Name, o.name(), err))
		return
	}
	m.add(o.place, set)
}

const (
	// maxAnnotations is the most that the annotations of an object may have, in bytes.
	maxAnnotations = 256 << 10
	// LastApplied is the annotation in which kubectl apply keeps a copy of the object for itself.
	LastApplied = "kubectl.kubernetes.io/last-applied-configuration"
)

// sizeOfAnnotations is what the API server counts once kubectl apply has added its own annotation.
func (o *object) sizeOfAnnotations() int {
	metadata, _ := o.content["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	size := len(LastApplied) + len(o.data) + len("\n")
	for key, value := range annotations {
		text, _ := value.(string)
		size += len(key) + len(text)
	}
	return size
}

// add takes the later one of two sets with one name, as applying both would.
func (m *Manifests) add(place string, set kinds.Set) {
	earlier, again := m.places[set.Ref()]
	m.places[set.Ref()] = place
	if !again {
		m.Sets = append(m.Sets, set)
		return
	}
	m.note("warning: DuplicateObject: %s: %s replaces %s", set.Ref(), place, earlier)
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
