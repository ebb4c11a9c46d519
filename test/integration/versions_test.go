// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"slices"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// version is one of the ConfigMap that the manager publishes.
type version struct {
	configMap *corev1.ConfigMap
	deleted   bool
}

func (v version) text() string { return v.configMap.Data[payload.Key] }

// recordVersions follows the ConfigMap until the spec ends. The returned function returns all versions up to the present one.
func recordVersions(ctx context.Context) (seen func() []version) {
	GinkgoHelper()
	ctx = context.WithoutCancel(ctx) // of the node that began it, which may be another than the one that asks
	events, err := admin.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace(controlplane.Namespace), client.MatchingFields{"metadata.name": payload.ConfigMapName})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(events.Stop)
	var mu sync.Mutex
	var all []version
	go func() {
		for event := range events.ResultChan() {
			if cm, ok := event.Object.(*corev1.ConfigMap); ok {
				mu.Lock()
				all = append(all, version{cm, event.Type == watch.Deleted})
				mu.Unlock()
			}
		}
	}()
	return func() (so []version) {
		GinkgoHelper()
		cm, err := configMap(ctx)
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() bool {
			mu.Lock()
			defer mu.Unlock()
			so = slices.Clone(all)
			return slices.ContainsFunc(so, func(v version) bool { return v.configMap.ResourceVersion == cm.ResourceVersion })
		}).Should(BeTrue(), "the watch is to come to the present version")
		return so
	}
}
