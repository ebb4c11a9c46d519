// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kinds converts the API's objects, of any kind, into the sets that rules are merged from. All code that works with sets uses this
// package, so that only this package and the API know the individual kinds.
package kinds

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/shadow"
)

// Object is one object of the API.
type Object interface {
	metav1.Object
	runtime.Object
}

// List is a list of objects of the API.
type List interface {
	metav1.ListInterface
	runtime.Object
}

// Set is one set, with the object that it was read from.
type Set struct {
	Object
	Kind *Kind
	// Entries are the entries of the set.
	Entries []mirrors.SetEntry
	// Status is the status of the object.
	Status *configv1.MirrorSetStatus
}

// Kind is a kind of set.
type Kind struct {
	mirrors.Kind
	// Resource is the plural name of the kind in the API.
	Resource string

	newObject func() Object
	newList   func() List
	// read returns the content of an object of this kind.
	read func(Object) ([]mirrors.SetEntry, *configv1.MirrorSetStatus)
}

// All lists all kinds of sets.
var All = []*Kind{Digest, Tag}

// Named returns the kind of that name, or nil if that is not a kind of sets.
func Named(name string) *Kind {
	at := slices.IndexFunc(All, func(k *Kind) bool { return k.Name == name })
	if at < 0 {
		return nil
	}
	return All[at]
}

// GroupVersionKind names the kind as it appears in objects.
func (k *Kind) GroupVersionKind() schema.GroupVersionKind {
	return configv1.GroupVersion.WithKind(k.Name)
}

// GroupVersionResource names the kind as it appears in the API's paths.
func (k *Kind) GroupVersionResource() schema.GroupVersionResource {
	return configv1.GroupVersion.WithResource(k.Resource)
}

// CRDName is the name of its CustomResourceDefinition.
func (k *Kind) CRDName() string {
	return k.Resource + "." + configv1.GroupVersion.Group
}

// NewList returns an empty list for a client to fill.
func (k *Kind) NewList() List {
	return k.newList()
}

// FromList returns the sets of a list.
func (k *Kind) FromList(list List) ([]Set, error) {
	all := make([]Set, 0, meta.LenList(list))
	err := meta.EachListItem(list, func(object runtime.Object) error {
		item, ok := object.(Object)
		if !ok {
			return fmt.Errorf("a list of %ss contains an object of another kind", k.Name)
		}
		all = append(all, k.from(item))
		return nil
	})
	return all, err
}

// Decode returns the set in an object that fill decodes.
func (k *Kind) Decode(fill func(object any) error) (Set, error) {
	object := k.newObject()
	err := fill(object)
	return k.from(object), err
}

func (k *Kind) from(object Object) Set {
	entries, status := k.read(object)
	return Set{Object: object, Kind: k, Entries: entries, Status: status}
}

// entry converts an entry of any kind.
func entry(source string, places []configv1.ImageMirror, policy configv1.MirrorSourcePolicy) mirrors.SetEntry {
	e := mirrors.SetEntry{Source: source, Mirrors: make([]string, len(places)), Policy: mirrors.Policy(policy)}
	for i, m := range places {
		e.Mirrors[i] = string(m)
	}
	return e
}

// Ref names the set in the form that findings use.
func (s *Set) Ref() mirrors.Object {
	return mirrors.Object{Kind: &s.Kind.Kind, Name: s.GetName()}
}

// Merge merges sets into rules.
func Merge(all []Set, insecure mirrors.Scopes) mirrors.Result {
	in := mirrors.Input{Sets: make([]mirrors.Set, len(all)), Insecure: insecure}
	for i := range all {
		annotations := all[i].GetAnnotations()
		in.Sets[i] = mirrors.Set{Object: all[i].Ref(), Entries: all[i].Entries, InsecureMirrors: annotations[mirrors.InsecureAnnotation], Enforcement: annotations[mirrors.EnforcementAnnotation]}
	}
	return shadow.Merge(in)
}

// Enforced returns the sets as they would be if none were in shadow mode (docs/reference/semantics.md V3).
func Enforced(all []Set) []Set {
	sets := slices.Clone(all)
	for i := range sets {
		if sets[i].GetAnnotations()[mirrors.EnforcementAnnotation] == "" {
			continue
		}
		object := sets[i].DeepCopyObject().(Object)
		annotations := object.GetAnnotations()
		delete(annotations, mirrors.EnforcementAnnotation)
		object.SetAnnotations(annotations)
		sets[i] = sets[i].Kind.from(object)
	}
	return sets
}

// Find returns the set that a finding or an entry names, or nil where it is not among these.
func Find(all []Set, ref mirrors.Object) *Set {
	at := slices.IndexFunc(all, func(s Set) bool { return s.Ref() == ref })
	if at < 0 {
		return nil
	}
	return &all[at]
}

// Applied returns the sets that exist after some are applied: each applied set replaces the set with its kind and name.
func Applied(current, wanted []Set) []Set {
	all := slices.DeleteFunc(slices.Clone(current), func(s Set) bool { return Find(wanted, s.Ref()) != nil })
	return append(all, wanted...)
}

// DigestOf identifies exactly these sets, in any order, as in "sha256:<hex>". Two digests are equal only if no set was created, changed or
// deleted in between.
func DigestOf(all []Set) string {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b Set) int {
		return cmp.Or(cmp.Compare(a.Kind.Name, b.Kind.Name), cmp.Compare(a.GetName(), b.GetName()))
	})
	var text strings.Builder
	for _, s := range sorted {
		fmt.Fprintf(&text, "%s/%s %s %d", s.Kind.Name, s.GetName(), s.GetUID(), s.GetGeneration())
		if insecure := s.GetAnnotations()[mirrors.InsecureAnnotation]; insecure != "" { // a change of it does not change the generation
			fmt.Fprintf(&text, " %q", insecure)
		}
		if enforcement := s.GetAnnotations()[mirrors.EnforcementAnnotation]; enforcement != "" { // the same is true of this annotation
			fmt.Fprintf(&text, " enforcement %q", enforcement)
		}
		text.WriteByte('\n')
	}
	sum := sha256.Sum256([]byte(text.String()))
	return "sha256:" + hex.EncodeToString(sum[:])
}
