// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
)

// state is what a cluster has.
type state struct {
	sets      []kinds.Set
	nodes     []mirrorsetv1alpha1.MirrorNode
	published *payload.Payload
	damage    error // which makes nothing of what is published
}

// pending says why what is published is not known to be of the sets; "" where it is.
func (s state) pending() string {
	switch {
	case s.damage != nil:
		return s.damage.Error()
	case s.published == nil:
		return "there is no ConfigMap " + payload.ConfigMapName + ", so nothing is published"
	}
	return cluster.Pending(s.sets, *s.published)
}

// watcher follows a cluster.
type watcher struct {
	*cluster.Cluster
}

// state asks the cluster what it has: the sets first, and the nodes last. So what is published of just these sets was published later, and
// nodes that have it have the sets.
func (w watcher) state(ctx context.Context) (s state, err error) {
	if s.sets, err = w.Sets(ctx); err != nil {
		return s, err
	}
	p, err := w.Published(ctx)
	if err != nil {
		return s, err
	}
	s.published = &p
	s.nodes, err = w.Nodes(ctx)
	return s, err
}

// canBeWatched returns an error where [watcher.watch] would wait in vain: who may read all that it follows need not have the
// rights to list and to watch it.
func (w watcher) canBeWatched(ctx context.Context) error {
	if _, err := w.Fleet(ctx); err != nil {
		return err
	}
	if _, err := w.Sets(ctx); err != nil {
		return err
	}
	for _, f := range w.followed() {
		options := metav1.ListOptions{Limit: 1}
		f.tweak(&options)
		client := w.Dynamic.Resource(f.resource).Namespace(f.namespace)
		found, err := client.List(ctx, options)
		if err != nil {
			return cluster.NotServed(f.resource, err)
		}
		options.Limit, options.ResourceVersion = 0, found.GetResourceVersion()
		watching, err := client.Watch(ctx, options)
		if err != nil {
			return err
		}
		watching.Stop()
	}
	return nil
}

// followed is what a watch follows.
type followed struct {
	resource  schema.GroupVersionResource
	namespace string
	tweak     dynamicinformer.TweakListOptionsFunc
}

func (w watcher) followed() []followed {
	all := func(*metav1.ListOptions) {}
	one := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", payload.ConfigMapName).String()
	}
	var resources []followed
	for _, kind := range w.Served() {
		resources = append(resources, followed{kind.GroupVersionResource(), metav1.NamespaceAll, all})
	}
	return append(resources, followed{cluster.NodeResource, metav1.NamespaceAll, all},
		followed{corev1.SchemeGroupVersion.WithResource("configmaps"), w.Namespace, one})
}

// settle is how long changes are waited for that would be shown at once.
const settle = 100 * time.Millisecond

// watch calls a function with what the cluster has, at first and whenever that changes, until it returns true or an error.
// A cluster that goes away for a while is waited for.
func (w watcher) watch(ctx context.Context, each func(state) (done bool, err error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := make(chan struct{}, 1)
	served := w.Served()
	var copies []cache.SharedIndexInformer
	for _, f := range w.followed() {
		informer, err := w.follow(ctx, f, changed)
		if err != nil {
			return err
		}
		copies = append(copies, informer)
	}
	for _, informer := range copies {
		if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			return context.Cause(ctx)
		}
	}
	for {
		s, err := stateOf(served, copies)
		if err != nil {
			return err
		}
		if done, err := each(s); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		case <-time.After(time.Second): // where the cluster was away as it was asked for the end
		}
		time.Sleep(settle)
		select {
		case <-changed:
		default:
		}
	}
}

// follow keeps a copy of a resource and tells when it changes.
func (w watcher) follow(ctx context.Context, f followed, changed chan<- struct{}) (cache.SharedIndexInformer, error) {
	informer := dynamicinformer.NewFilteredDynamicInformer(w.Dynamic, f.resource, f.namespace, 0, cache.Indexers{}, f.tweak).Informer()
	tell := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	if err := informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {}); err != nil { // it tries again
		return nil, err
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { tell() }, UpdateFunc: func(any, any) { tell() }, DeleteFunc: func(any) { tell() },
	})
	if err != nil {
		return nil, err
	}
	go informer.RunWithContext(ctx)
	return informer, nil
}

// stateOf reads the copies, which are in the order of what is followed: first the kinds of sets.
func stateOf(served []*kinds.Kind, copies []cache.SharedIndexInformer) (s state, err error) {
	for i, kind := range served {
		these, err := itemsOf(copies[i], cluster.AsSet(kind))
		if err != nil {
			return s, err
		}
		s.sets = append(s.sets, these...)
	}
	nodes, configMaps := copies[len(served)], copies[len(served)+1]
	if s.nodes, err = itemsOf(nodes, cluster.As[mirrorsetv1alpha1.MirrorNode]); err != nil {
		return s, err
	}
	found, err := itemsOf(configMaps, cluster.As[corev1.ConfigMap])
	if err != nil || len(found) == 0 {
		return s, err
	}
	p, err := payload.Read(&found[0])
	switch {
	case errors.Is(err, payload.ErrNewer):
		return s, fmt.Errorf("%w; upgrade kubectl mirrors to the version of the manager", err)
	case err != nil:
		s.damage = err // until the manager mends it
		return s, nil
	}
	s.published = &p
	return s, nil
}

func itemsOf[T any](informer cache.SharedIndexInformer, as func(any) (T, error)) ([]T, error) {
	objects := informer.GetStore().List()
	items := make([]T, len(objects))
	for i, object := range objects {
		var err error
		if items[i], err = as(object); err != nil {
			return nil, err
		}
	}
	return items, nil
}
