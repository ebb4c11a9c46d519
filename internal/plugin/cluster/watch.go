// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// State is what a cluster has.
type State struct {
	Sets  []kinds.Set
	Nodes []mirrorsetv1alpha1.MirrorNode
	// Published is nil where there is no ConfigMap, or where Damage makes nothing of it.
	Published *Publication
	Damage    error
}

// Fleet is where the nodes are.
func (s State) Fleet() Fleet {
	return Survey(s.Nodes, s.Published)
}

// Hold returns nil where what is published is known to be of the sets.
func (s State) Hold() *Hold {
	switch {
	case s.Damage != nil:
		return &Hold{Reason: configv1.ReasonProgressing, Why: output.Harmless(s.Damage.Error())}
	case s.Published == nil:
		return &Hold{Reason: configv1.ReasonProgressing, Why: "there is no ConfigMap " + payload.ConfigMapName + ", so nothing is published"}
	}
	return s.Published.Hold(s.Sets)
}

// State asks the cluster what it has: the sets first, and the nodes last. So what is published of just these sets was published later, and
// nodes that have it have the sets.
func (c *Cluster) State(ctx context.Context) (s State, err error) {
	if s.Sets, err = c.Sets(ctx); err != nil {
		return s, err
	}
	p, err := c.Published(ctx)
	if err != nil {
		return s, err
	}
	s.Published = &p
	s.Nodes, err = c.Nodes(ctx)
	return s, err
}

// Watch calls a function with what the cluster has, at first and whenever that changes, until it is done or returns an error. It ends with
// [context.DeadlineExceeded] after the timeout; 0 means no timeout. A cluster that goes away for a while is waited for.
func (c *Cluster) Watch(ctx context.Context, timeout time.Duration, stderr io.Writer, each func(State) (done bool, err error)) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	if err := c.canBeWatched(ctx); err != nil {
		if timeout > 0 && ctx.Err() != nil {
			return fmt.Errorf("the API server did not answer within %s", timeout)
		}
		return err // what a mistake in the flags, or a missing right, leads to is no reason to try again
	}
	c.WarnOfLacks(stderr)
	return c.watch(ctx, func(s State) (bool, error) {
		if done, err := each(s); !done && err == nil {
			return false, nil
		}
		// The kinds of objects are watched each for itself, and after a break the sets may be back long before the nodes.
		now, err := c.State(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // the cluster is away, and is waited for
		}
		return each(now)
	})
}

// canBeWatched returns an error where [Cluster.watch] would wait in vain: who may read all that it follows need not have the
// rights to list and to watch it.
func (c *Cluster) canBeWatched(ctx context.Context) error {
	if _, err := c.Fleet(ctx); err != nil {
		return err
	}
	if _, err := c.Sets(ctx); err != nil {
		return err
	}
	for _, f := range c.followed() {
		options := metav1.ListOptions{Limit: 1}
		f.tweak(&options)
		client := c.Dynamic.Resource(f.resource).Namespace(f.namespace)
		found, err := client.List(ctx, options)
		if err != nil {
			return NotServed(f.resource, err)
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
	tweak     func(*metav1.ListOptions)
}

func (c *Cluster) followed() []followed {
	all := func(*metav1.ListOptions) {}
	one := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", payload.ConfigMapName).String()
	}
	var resources []followed
	for _, kind := range c.Served() {
		resources = append(resources, followed{kind.GroupVersionResource(), metav1.NamespaceAll, all})
	}
	return append(resources, followed{NodeResource, metav1.NamespaceAll, all},
		followed{corev1.SchemeGroupVersion.WithResource("configmaps"), c.Namespace, one})
}

// settle is how long changes are waited for that would be shown immediately.
const settle = 100 * time.Millisecond

// watch keeps copies of all that is followed.
func (c *Cluster) watch(ctx context.Context, each func(State) (done bool, err error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := make(chan struct{}, 1)
	served := c.Served()
	var copies []cache.SharedIndexInformer
	for _, f := range c.followed() {
		informer, err := c.follow(ctx, f, changed)
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
func (c *Cluster) follow(ctx context.Context, f followed, changed chan<- struct{}) (cache.SharedIndexInformer, error) {
	client := c.Dynamic.Resource(f.resource).Namespace(f.namespace)
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			f.tweak(&options)
			return client.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			f.tweak(&options)
			return client.Watch(ctx, options)
		},
	}, &unstructured.Unstructured{}, 0, cache.Indexers{})
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
func stateOf(served []*kinds.Kind, copies []cache.SharedIndexInformer) (s State, err error) {
	for i, kind := range served {
		these, err := itemsOf(copies[i], AsSet(kind))
		if err != nil {
			return s, err
		}
		s.Sets = append(s.Sets, these...)
	}
	nodes, configMaps := copies[len(served)], copies[len(served)+1]
	if s.Nodes, err = itemsOf(nodes, As[mirrorsetv1alpha1.MirrorNode]); err != nil {
		return s, err
	}
	found, err := itemsOf(configMaps, As[corev1.ConfigMap])
	if err != nil || len(found) == 0 {
		return s, err
	}
	p, err := ReadPublication(&found[0])
	switch {
	case errors.Is(err, payload.ErrNewer):
		return s, fmt.Errorf("%w; upgrade kubectl mirrors to the version of the manager", err)
	case err != nil:
		s.Damage = err // until the manager repairs it
		return s, nil
	}
	s.Published = &p
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
