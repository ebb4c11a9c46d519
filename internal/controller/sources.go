// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/plan"
	"github.com/mirrorset/mirrorset/internal/rewatch"
)

// crds are the CRDs of all kinds of sets; nil for one that is missing.
type crds map[*kinds.Kind]*apiextensionsv1.CustomResourceDefinition

// watchCRDs has every event about the CRD of a kind handled. Each has a cache of its own: the manager may watch just these, and a field
// selector takes one name.
func watchCRDs(mgr ctrl.Manager, c controller.Controller, h handler.EventHandler) error {
	for _, kind := range kinds.All {
		one, err := cache.New(mgr.GetConfig(), cache.Options{
			HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), NewInformer: rewatch.NewInformer,
			ByObject: map[client.Object]cache.ByObject{&apiextensionsv1.CustomResourceDefinition{}: {Field: fields.OneTermEqualSelector("metadata.name", kind.CRDName())}},
		})
		if err == nil {
			err = mgr.Add(crdCache{one})
		}
		if err != nil {
			return err
		}
		crd := &metav1.PartialObjectMetadata{}
		crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
		if err := c.Watch(source.Kind[client.Object](one, crd, h)); err != nil {
			return err
		}
	}
	return nil
}

// crdCache has the manager start a cache before its controllers.
type crdCache struct{ cache.Cache }

// GetCache is how the manager knows one.
func (c crdCache) GetCache() cache.Cache { return c.Cache }

// missingError says that the list of a kind cannot be believed.
type missingError struct{ kind *kinds.Kind }

func (e *missingError) Error() string {
	return "the list of " + e.kind.Resource + " cannot be believed"
}

// listSets lists all sets of all kinds. It fails with a [missingError] where a list cannot be believed.
func listSets(ctx context.Context, live client.Reader) ([]kinds.Set, crds, error) {
	before, err := readCRDs(ctx, live)
	if err == nil {
		err = before.believe(before)
	}
	if err != nil {
		return nil, nil, err
	}
	var sets []kinds.Set
	for _, kind := range kinds.All {
		list := kind.NewList()
		if err := live.List(ctx, list); err != nil {
			if apierrors.IsNotFound(err) {
				return nil, nil, &missingError{kind}
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
	if err == nil {
		err = before.believe(after)
	}
	return sets, after, err
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

// believe returns an error for the first kind whose list cannot be believed, by the CRDs before and after.
func (c crds) believe(after crds) error {
	for _, kind := range kinds.All {
		if plan.Believable(sourceOf(kind, c[kind]), sourceOf(kind, after[kind])) == nil {
			return &missingError{kind}
		}
	}
	return nil
}

// sources are what a decision takes of the CRDs.
func (c crds) sources(sets []kinds.Set) []plan.Source {
	count := countByKind(sets)
	sources := make([]plan.Source, 0, len(kinds.All))
	for _, kind := range kinds.All {
		seen := sourceOf(kind, c[kind])
		seen.Sets = count[kind]
		sources = append(sources, *seen)
	}
	return sources
}

// countByKind counts the sets of every kind.
func countByKind(sets []kinds.Set) map[*kinds.Kind]int {
	count := make(map[*kinds.Kind]int, len(kinds.All))
	for _, kind := range kinds.All {
		count[kind] = 0
	}
	for i := range sets {
		count[sets[i].Kind]++
	}
	return count
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
			for _, field := range []string{"observedGeneration", "revision", "sources", "mirrors", "conditions", "findings", "shadow"} {
				if _, ok := has[field]; !ok {
					return false
				}
			}
			return true
		}
	}
	return false
}
