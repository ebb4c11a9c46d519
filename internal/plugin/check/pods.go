// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/images"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// imagesOfPods returns what the specs of Pods in all namespaces name, whatever their phase, as written, and the Pods that name each. It
// is what a kubelet pulls once the Pod starts on another node; what runs now may be something else.
func imagesOfPods(ctx context.Context, c *cluster.Cluster) (pods map[string][]string, err error) {
	pods = make(map[string][]string)
	page := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.Pods(metav1.NamespaceAll).List(ctx, options)
	}
	err = pager.New(page).EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		pod, ok := object.(*corev1.Pod)
		if !ok {
			return errors.New("the API server's list of Pods contains an object that is not a Pod")
		}
		for _, image := range images.NamedIn(&pod.Spec) {
			if image != "" {
				pods[image] = append(pods[image], pod.Namespace+"/"+pod.Name)
			}
		}
		return nil
	})
	return pods, err
}

// sayPods names the first Pods, and counts the others.
func sayPods(pods []string, most int) string {
	if len(pods) == 0 {
		return "<none>"
	}
	return output.FirstOf(pods, most)
}
