// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/mirrorset/mirrorset/internal/controller/configmap"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/plan"
	"github.com/mirrorset/mirrorset/internal/rewatch"
)

// isNews passes over the events of what a keeper itself wrote into the ConfigMap.
func isNews(keeper *configmap.Keeper) predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return !keeper.IsOwn(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return !keeper.IsOwn(e.ObjectNew) },
	}
}

// untilNext is how long a change of a set has to wait. To list the sets for each change of a storm would be in vain.
func (p *Publisher) untilNext() time.Duration {
	if next := p.next.Load(); next != nil {
		return max(0, time.Until(*next))
	}
	return 0
}

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

// sources are what a decision takes of the CRDs.
func (c crds) sources(sets []kinds.Set) []plan.Source {
	count := countByKind(sets)
	sources := make([]plan.Source, 0, len(kinds.All))
	for _, kind := range kinds.All {
		seen := c[kind].Source
		seen.Sets = count[kind]
		sources = append(sources, seen)
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

// uidsOf returns the UIDs of the CRDs by kind.
func uidsOf(sources []plan.Source) map[string]string {
	uids := make(map[string]string, len(sources))
	for _, s := range sources {
		uids[s.Kind] = s.UID
	}
	return uids
}
