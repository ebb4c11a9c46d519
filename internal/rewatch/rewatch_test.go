// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rewatch_test

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/mirrorset/mirrorset/internal/rewatch"
)

func TestAWatchGoesOnOnlyFromWhatTheStoreHasReached(t *testing.T) {
	away := errors.New("away")
	yes := true
	for _, c := range []struct {
		name, store, from string
		initial           *bool
		fails             error
		want              string // "watches", "expired" or "away"
	}{
		{name: "what was seen last", store: "100", from: "100", want: "watches"},
		{name: "an earlier version", store: "100", from: "90", want: "watches"},
		{name: "a later version", store: "100", from: "101", want: "expired"},
		{name: "the beginning", store: "100", from: "0", want: "watches"},
		{name: "any version", store: "100", from: "", want: "watches"},
		{name: "with all that there is first", store: "100", from: "101", initial: &yes, want: "watches"},
		{name: "versions that are no numbers", store: "x", from: "101", want: "watches"},
		{name: "an API server that is away", from: "101", fails: away, want: "away"},
	} {
		lw := rewatch.Wrap(&cache.ListWatch{
			ListWithContextFunc: func(_ context.Context, o metav1.ListOptions) (runtime.Object, error) {
				if o.Limit != 1 || o.ResourceVersion != "" {
					t.Errorf("%s: listed with %+v", c.name, o)
				}
				return &corev1.ConfigMapList{ListMeta: metav1.ListMeta{ResourceVersion: c.store}}, c.fails
			},
			WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return watch.NewFake(), nil },
		})
		_, err := cache.ToListerWatcherWithContext(lw).WatchWithContext(t.Context(), metav1.ListOptions{ResourceVersion: c.from, SendInitialEvents: c.initial})
		got := "watches"
		switch {
		case apierrors.IsResourceExpired(err):
			got = "expired"
		case errors.Is(err, away):
			got = "away"
		case err != nil:
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
