// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/mirrorset/mirrorset/internal/apiclient"
)

// Clients are the clients of an API server.
type Clients struct {
	core     cache.Getter       // reads the ConfigMap, and what mirrors are granted
	metadata metadata.Interface // shows if the manager's Deployment and its namespace still exist
	nodes    dynamic.Interface  // reads and writes MirrorNodes
}

// NewClients returns clients, which several agents may share.
func NewClients(api *rest.Config) (Clients, error) {
	core, errCore := apiclient.New(api, corev1.SchemeGroupVersion, corev1.AddToScheme)
	objects, errMetadata := metadata.NewForConfig(api)
	nodes, errNodes := dynamic.NewForConfig(api)
	return Clients{core: core, metadata: objects, nodes: nodes}, errors.Join(errCore, errMetadata, errNodes)
}
