// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rewatch has informers notice that the API server's store went back in time, as when etcd was restored from a
// snapshot. The API server takes a watch from a resource version that is still to come, and stays silent until it has come, which
// may be never; and a client that lost its connection goes on from the last version that it saw.
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

// NewInformer returns an informer that notices it, for a cache that makes its own.
func NewInformer(lw cache.ListerWatcher, object runtime.Object, resync time.Duration, indexers cache.Indexers) cache.SharedIndexInformer {
	return cache.NewSharedIndexInformer(Wrap(lw), object, resync, indexers)
}

// InformerOfOne returns an informer about the one object of a name that notices it, for who may read only that one.
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

// Wrap returns a ListerWatcher that refuses to watch on from a resource version that is still to come, so that its informer
// lists anew. It asks with a list of one item each time a watch begins, which is once in minutes.
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
	if err == nil && from > 0 && options.SendInitialEvents == nil { // else the API server itself sees that it is to come
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

// version returns the store's; 0 where it is no number.
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
