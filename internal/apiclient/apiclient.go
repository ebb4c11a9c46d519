// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiclient makes clients for the types of one API group. client-go's clientset has the types of all groups built in, which
// would be a third of an agent.
package apiclient

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// New returns a client for a version of a group, whose types addTypes adds to a scheme.
func New(api *rest.Config, version schema.GroupVersion, addTypes func(*runtime.Scheme) error) (*rest.RESTClient, error) {
	scheme := runtime.NewScheme()
	if err := addTypes(scheme); err != nil {
		return nil, err
	}
	api = rest.CopyConfig(api)
	api.GroupVersion, api.APIPath = &version, "/apis"
	if version.Group == "" {
		api.APIPath = "/api"
	}
	if api.ContentType == "" {
		api.ContentType = runtime.ContentTypeProtobuf
	}
	api.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	api.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON // in JSON, a payload is a third longer
	if api.UserAgent == "" {
		api.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	return rest.RESTClientFor(api)
}

// Objects lists and watches the objects of a resource in a namespace, as its caller's options say.
func Objects(client cache.Getter, resource, namespace string) *cache.ListWatch {
	return cache.NewFilteredListWatchFromClient(client, resource, namespace, func(*metav1.ListOptions) {})
}
