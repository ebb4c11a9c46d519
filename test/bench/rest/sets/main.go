// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command sets keeps all sets of the cluster in controller-runtime's cache, and does no more: the floor of a manager at rest.
package main

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
)

func main() {
	if err := run(); err != nil {
		panic(err)
	}
}

func run() error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := configv1.AddToScheme(scheme); err != nil {
		return err
	}
	sets, err := cache.New(config, cache.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	ctx := ctrl.SetupSignalHandler()
	go func() {
		for _, kind := range kinds.All {
			object, err := kind.Decode(func(any) error { return nil })
			if err == nil {
				_, err = sets.GetInformer(ctx, object.Object)
			}
			if err != nil {
				panic(err)
			}
		}
		fmt.Println("in step")
	}()
	return sets.Start(ctx)
}
