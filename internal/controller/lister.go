// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/plan"
)

// lister lists all sets from the API server, and judges if a list can be believed. It is for one goroutine.
type lister struct {
	live client.Reader
	last crds // as they were after the last lists
}

// crds are the CRDs of all kinds of sets; nil for one that is missing.
type crds map[*kinds.Kind]*crd

// crd is what counts of one CRD, at one resource version.
type crd struct {
	plan.Source // without its sets
	hasStatus   bool
	version     string
}

// missingError means that the list of a kind is not plausible.
type missingError struct{ kind *kinds.Kind }

func (e *missingError) Error() string {
	return "the list of " + e.kind.Resource + " is not plausible"
}

// list lists all sets of all kinds. It fails with a [missingError] where a list is not plausible. A CRD that an earlier pass saw counts as
// seen before the lists: no other one gets its UID, and its deletion, once it has begun, is not taken back.
func (l *lister) list(ctx context.Context) ([]kinds.Set, crds, error) {
	if l.last.believe(l.last) != nil {
		err := l.look(ctx)
		if err == nil {
			err = l.last.believe(l.last)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	sets, err := l.listWithin(ctx)
	var missing *missingError
	if errors.As(err, &missing) && l.last.believe(l.last) == nil { // another CRD came since the last pass, maybe before the lists
		sets, err = l.listWithin(ctx)
	}
	return sets, l.last, err
}

// listWithin lists all sets, and then looks whether the CRDs are those that were seen last.
func (l *lister) listWithin(ctx context.Context) ([]kinds.Set, error) {
	before := l.last
	sets, err := l.listAll(ctx)
	if err == nil {
		err = l.look(ctx)
	}
	if err == nil {
		err = before.believe(l.last)
	}
	return sets, err
}

func (l *lister) listAll(ctx context.Context) ([]kinds.Set, error) {
	byKind := make([][]kinds.Set, len(kinds.All))
	err := ofEach(func(i int, kind *kinds.Kind) (err error) {
		list := kind.NewList()
		if err := l.live.List(ctx, list); err != nil {
			if apierrors.IsNotFound(err) {
				return &missingError{kind}
			}
			return fmt.Errorf("listing %s: %w", kind.Resource, err)
		}
		byKind[i], err = kind.FromList(list)
		return err
	})
	sets := slices.Concat(byKind...)
	slimListed(sets)
	return sets, err
}

// look reads the CRDs.
func (l *lister) look(ctx context.Context) error {
	found := make([]*crd, len(kinds.All))
	err := ofEach(func(i int, kind *kinds.Kind) (err error) {
		found[i], err = l.read(ctx, kind)
		return client.IgnoreNotFound(err)
	})
	if err != nil {
		return err
	}
	l.last = make(crds)
	for i, kind := range kinds.All {
		l.last[kind] = found[i]
	}
	return nil
}

// read returns the CRD of a kind. It is large, so all of it is read only where it is not the one that was seen last.
func (l *lister) read(ctx context.Context, kind *kinds.Kind) (*crd, error) {
	name := types.NamespacedName{Name: kind.CRDName()}
	var now metav1.PartialObjectMetadata
	now.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	if err := l.live.Get(ctx, name, &now); err != nil {
		return nil, err
	}
	if last := l.last[kind]; last != nil && last.UID == string(now.UID) && last.version == now.ResourceVersion {
		return last, nil
	}
	var whole apiextensionsv1.CustomResourceDefinition
	if err := l.live.Get(ctx, name, &whole); err != nil {
		return nil, err
	}
	return crdOf(kind, &whole), nil
}

func crdOf(kind *kinds.Kind, object *apiextensionsv1.CustomResourceDefinition) *crd {
	c := &crd{hasStatus: hasStatus(object), version: object.ResourceVersion}
	c.Source = plan.Source{Kind: kind.Name, UID: string(object.UID), Created: object.CreationTimestamp.Time, Leaving: object.DeletionTimestamp != nil}
	for _, condition := range object.Status.Conditions {
		c.Established = c.Established || condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue
	}
	return c
}

// ofEach calls a function for all kinds at the same time, each with its index, and returns the errors.
func ofEach(do func(i int, kind *kinds.Kind) error) error {
	failed := make([]error, len(kinds.All))
	var doing sync.WaitGroup
	for i, kind := range kinds.All {
		doing.Go(func() { failed[i] = do(i, kind) })
	}
	doing.Wait()
	return errors.Join(failed...)
}

// believe returns an error for the first kind whose list is not plausible, by the CRDs before and after.
func (c crds) believe(after crds) error {
	for _, kind := range kinds.All {
		if plan.Believable(c[kind].source(), after[kind].source()) == nil {
			return &missingError{kind}
		}
	}
	return nil
}

// source describes the CRD for the decision if a list can be believed. It is nil for a CRD that is missing.
func (c *crd) source() *plan.Source {
	if c == nil {
		return nil
	}
	return &c.Source
}

// haveStatus returns the kinds whose complete status, as we write it, the API server stores. An apply with a field that a CRD does not have
// fails. OpenShift's CRD has the status as an object without fields.
func (c crds) haveStatus() map[*kinds.Kind]bool {
	have := make(map[*kinds.Kind]bool, len(c))
	for kind, crd := range c {
		have[kind] = crd.hasStatus
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
