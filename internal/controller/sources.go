// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/plan"
)

// crds are the CRDs of all kinds of sets; nil for one that is missing.
type crds map[*kinds.Kind]*apiextensionsv1.CustomResourceDefinition

// listSets lists all sets of all kinds. It returns no CRDs where a list cannot be believed.
func listSets(ctx context.Context, live client.Reader) ([]kinds.Set, crds, error) {
	before, err := readCRDs(ctx, live)
	if err != nil || !before.believable(before) {
		return nil, nil, err
	}
	var sets []kinds.Set
	for _, kind := range kinds.All {
		list := kind.NewList()
		if err := live.List(ctx, list); err != nil {
			if apierrors.IsNotFound(err) {
				return nil, nil, nil
			}
			return nil, nil, fmt.Errorf("listing %s: %w", kind.Resource, err)
		}
		these, err := kind.FromList(list)
		if err != nil {
			return nil, nil, err
		}
		sets = append(sets, these...)
	}
	after, err := readCRDs(ctx, live)
	if err != nil || !before.believable(after) {
		return nil, nil, err
	}
	return sets, after, nil
}

func readCRDs(ctx context.Context, live client.Reader) (crds, error) {
	found := make(crds)
	for _, kind := range kinds.All {
		var crd apiextensionsv1.CustomResourceDefinition
		err := live.Get(ctx, types.NamespacedName{Name: kind.CRDName()}, &crd)
		if client.IgnoreNotFound(err) != nil {
			return nil, err
		}
		if err == nil {
			found[kind] = &crd
		}
	}
	return found, nil
}

// crdNames are the names of the CRDs of all kinds.
func crdNames() string {
	var names []string
	for _, kind := range kinds.All {
		names = append(names, kind.CRDName())
	}
	return strings.Join(names, ", ")
}

// believable tells whether the lists of all kinds can be believed, by the CRDs before and after.
func (c crds) believable(after crds) bool {
	for _, kind := range kinds.All {
		if plan.Believable(sourceOf(kind, c[kind]), sourceOf(kind, after[kind])) == nil {
			return false
		}
	}
	return true
}

// sources are what a decision takes of the CRDs.
func (c crds) sources(sets []kinds.Set) []plan.Source {
	count := make(map[*kinds.Kind]int)
	for i := range sets {
		count[sets[i].Kind]++
	}
	sources := make([]plan.Source, 0, len(kinds.All))
	for _, kind := range kinds.All {
		source := sourceOf(kind, c[kind])
		source.Sets = count[kind]
		sources = append(sources, *source)
	}
	return sources
}

func sourceOf(kind *kinds.Kind, crd *apiextensionsv1.CustomResourceDefinition) *plan.Source {
	if crd == nil {
		return nil
	}
	seen := &plan.Source{Kind: kind.Name, UID: string(crd.UID), Created: crd.CreationTimestamp.Time, Leaving: crd.DeletionTimestamp != nil}
	for _, c := range crd.Status.Conditions {
		seen.Established = seen.Established || c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
	}
	return seen
}

// uidsOf returns the UIDs of the CRDs by kind.
func uidsOf(sources []plan.Source) map[string]string {
	uids := make(map[string]string, len(sources))
	for _, s := range sources {
		uids[s.Kind] = s.UID
	}
	return uids
}

// haveStatus tells of which kinds the API server keeps the status that we write, all of it: an apply with a field that a CRD does not
// have fails. OpenShift's CRD has the status as an object without fields.
func (c crds) haveStatus() map[*kinds.Kind]bool {
	have := make(map[*kinds.Kind]bool, len(c))
	for kind, crd := range c {
		have[kind] = hasStatus(crd)
	}
	return have
}

func hasStatus(crd *apiextensionsv1.CustomResourceDefinition) bool {
	for i := range crd.Spec.Versions {
		v := &crd.Spec.Versions[i]
		if v.Name == configv1.GroupVersion.Version && v.Subresources != nil && v.Subresources.Status != nil && v.Schema != nil && v.Schema.OpenAPIV3Schema != nil {
			has := v.Schema.OpenAPIV3Schema.Properties["status"].Properties
			for _, field := range []string{"observedGeneration", "revision", "sources", "mirrors", "conditions", "findings"} {
				if _, ok := has[field]; !ok {
					return false
				}
			}
			return true
		}
	}
	return false
}
