// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/plan"
)

// CRDName is the name of the CustomResourceDefinition that the sets come from.
const CRDName = "imagedigestmirrorsets.config.openshift.io"

// listSets lists all sets. It returns no CRD where the list cannot be believed.
func listSets(ctx context.Context, live client.Reader) ([]configv1.ImageDigestMirrorSet, *apiextensionsv1.CustomResourceDefinition, error) {
	before, err := crdOfSets(ctx, live)
	if err != nil || plan.Believable(sourceOf(before), sourceOf(before)) == nil {
		return nil, nil, err
	}
	var list configv1.ImageDigestMirrorSetList
	if err := live.List(ctx, &list); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil, nil
		}
		return nil, nil, fmt.Errorf("listing sets: %w", err)
	}
	after, err := crdOfSets(ctx, live)
	if err != nil || plan.Believable(sourceOf(before), sourceOf(after)) == nil {
		return nil, nil, err
	}
	return list.Items, after, nil
}

// crdOfSets returns the CRD of the sets; nil where there is none.
func crdOfSets(ctx context.Context, live client.Reader) (*apiextensionsv1.CustomResourceDefinition, error) {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := live.Get(ctx, types.NamespacedName{Name: CRDName}, &crd); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return &crd, nil
}

// sourceOf is what a decision takes of the CRD.
func sourceOf(crd *apiextensionsv1.CustomResourceDefinition) *plan.Source {
	if crd == nil {
		return nil
	}
	seen := &plan.Source{UID: string(crd.UID), Created: crd.CreationTimestamp.Time, Leaving: crd.DeletionTimestamp != nil}
	for _, c := range crd.Status.Conditions {
		seen.Established = seen.Established || c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
	}
	return seen
}
