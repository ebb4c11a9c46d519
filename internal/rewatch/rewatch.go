// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rewatch makes informers notice that the API server's store went back in time, for example after etcd was restored from a
// snapshot. An API server accepts a watch from a resource version that it has not reached yet. It then sends nothing until it reaches that
// version, which may never happen. A client that lost its connection continues from the last version that it saw.
package rewatch

import (
	"context"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// NewInformer returns an informer that notices such a step back, for a cache that creates its own informers.
func NewInformer(lw cache.ListerWatcher, object runtime.Object, resync time.Duration, indexers cache.Indexers) cache.SharedIndexInformer {
	return cache.NewSharedIndexInformer(Wrap(lw), object, resync, indexers)
}

// InformerOfOne returns an informer about the one object with a name that notices such a step back. It is for clients that may read only
// that object.
func InformerOfOne[List runtime.Object](name string, list func(context.Context, metav1.ListOptions) (List, error),
	watches func(context.Context, metav1.ListOptions) (watch.Interface, error), example runtime.Object,
) cache.SharedIndexInformer {
	one := fields.OneTermEqualSelector("metadata.name", name).String()
	return NewInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = one
			return list(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = one
			return watches(ctx, o)
		},
	}, example, 0, cache.Indexers{})
}

// Wrap returns a ListerWatcher that refuses to continue a watch from a resource version that the API server has not reached yet, so that
// its informer lists again. It checks the version with a list limited to one item whenever a watch begins, which happens once in several
// minutes.
func Wrap(lw cache.ListerWatcher) cache.ListerWatcher {
	return &listerWatcher{cache.ToListerWatcherWithContext(lw)}
}

type listerWatcher struct{ cache.ListerWatcherWithContext }

func (l *listerWatcher) List(options metav1.ListOptions) (runtime.Object, error) {
	return l.ListWithContext(context.Background(), options)
}

func (l *listerWatcher) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return l.WatchWithContext(context.Background(), options)
}

func (l *listerWatcher) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	from, err := strconv.ParseUint(options.ResourceVersion, 10, 64)
	if err == nil && from > 0 && options.SendInitialEvents == nil { // otherwise the API server itself notices that the version is in the future
		list, err := l.ListWithContext(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			return nil, err
		}
		if now := version(list); now > 0 && now < from {
			return nil, apierrors.NewResourceExpired(fmt.Sprintf("the API server went back to resource version %d, from %d or later", now, from))
		}
	}
	return l.ListerWatcherWithContext.WatchWithContext(ctx, options)
}

// version returns the resource version of the store, or 0 where that is not a number.
func version(list runtime.Object) uint64 {
	m, err := meta.ListAccessor(list)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(m.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
