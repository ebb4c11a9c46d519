// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command configmap watches the one ConfigMap that agents follow, by client-go's clientset and an informer, and does nothing else: the floor
// of an agent at rest.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/mirrorset/mirrorset/internal/payload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv(clientcmd.RecommendedConfigPathEnvVar))
	if err != nil {
		panic(err)
	}
	only := informers.NewSharedInformerFactoryWithOptions(kubernetes.NewForConfigOrDie(config), 0, informers.WithNamespace(os.Args[1]),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector("metadata.name", payload.ConfigMapName).String()
		}))
	only.Core().V1().ConfigMaps().Informer()
	only.Start(ctx.Done())
	only.WaitForCacheSync(ctx.Done())
	fmt.Println("in step")
	<-ctx.Done()
}
