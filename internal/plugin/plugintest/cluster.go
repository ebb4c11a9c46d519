// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// The paths of what is read.
const (
	SetsPath      = "/apis/config.openshift.io/v1/imagedigestmirrorsets"
	TagSetsPath   = "/apis/config.openshift.io/v1/imagetagmirrorsets"
	NodesPath     = "/apis/mirrorset.io/v1alpha1/mirrornodes"
	ConfigMapPath = "/api/v1/namespaces/mirrorset-system/configmaps/containers-registries.conf"
)

// Serve answers with the objects by path, otherwise as an API server does that has none. It stands in for what a test of
// output cannot ask of a real one; test/integration has that.
func Serve(t *testing.T, objects map[string]any) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		object, ok := objects[r.URL.Path]
		if handler, is := object.(http.HandlerFunc); is {
			handler(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if !ok {
			status := apierrors.NewGenericServerResponse(http.StatusNotFound, "get", schema.GroupResource{}, "", r.URL.Path, 0, true)
			w.WriteHeader(http.StatusNotFound)
			object = status.Status()
		}
		if err := json.NewEncoder(w).Encode(object); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Refuse answers as an API server does whose user may not ask.
func Refuse(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	status := apierrors.NewForbidden(schema.GroupResource{Resource: "x"}, "x", errors.New("not you")).Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	_ = json.NewEncoder(w).Encode(status) // the client says so
}

// Lists answers lists and requests for one object, and takes watches without a word. The list that a watch begins with may be of
// any age (resourceVersion=0); that is the old one.
func Lists(t *testing.T, old any, now func() any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		q, object := r.URL.Query(), old
		switch {
		case q.Has("sendInitialEvents"):
			w.WriteHeader(http.StatusBadRequest)
			object = apierrors.NewBadRequest("not here").Status()
		case q.Has("watch"):
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		case q.Get("resourceVersion") != "0":
			object = now()
		}
		if err := json.NewEncoder(w).Encode(object); err != nil {
			t.Error(err)
		}
	}
}

// SetList is the list of the sets as an API server returns it.
func SetList(sets ...configv1.ImageDigestMirrorSet) configv1.ImageDigestMirrorSetList {
	list := configv1.ImageDigestMirrorSetList{TypeMeta: metav1.TypeMeta{APIVersion: "config.openshift.io/v1", Kind: "ImageDigestMirrorSetList"}, Items: sets}
	for i := range list.Items {
		list.Items[i].TypeMeta = metav1.TypeMeta{APIVersion: "config.openshift.io/v1", Kind: "ImageDigestMirrorSet"}
	}
	return list
}

// TagSetList is the list of the sets as an API server returns it.
func TagSetList(sets ...configv1.ImageTagMirrorSet) configv1.ImageTagMirrorSetList {
	list := configv1.ImageTagMirrorSetList{TypeMeta: metav1.TypeMeta{APIVersion: "config.openshift.io/v1", Kind: "ImageTagMirrorSetList"}, Items: sets}
	for i := range list.Items {
		list.Items[i].TypeMeta = metav1.TypeMeta{APIVersion: "config.openshift.io/v1", Kind: "ImageTagMirrorSet"}
	}
	return list
}

// NodeList is the list of the nodes as an API server returns it.
func NodeList(nodes ...mirrorsetv1alpha1.MirrorNode) mirrorsetv1alpha1.MirrorNodeList {
	list := mirrorsetv1alpha1.MirrorNodeList{TypeMeta: metav1.TypeMeta{APIVersion: "mirrorset.io/v1alpha1", Kind: "MirrorNodeList"}, Items: nodes}
	for i := range list.Items {
		list.Items[i].TypeMeta = metav1.TypeMeta{APIVersion: "mirrorset.io/v1alpha1", Kind: "MirrorNode"}
	}
	return list
}

// ConfigMapOf is the ConfigMap that holds a payload as an API server returns it.
func ConfigMapOf(t *testing.T, p payload.Payload) map[string]any {
	t.Helper()
	data, binaryData, err := p.Data()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": data, "binaryData": binaryData,
		"metadata": map[string]any{"name": payload.ConfigMapName, "namespace": "mirrorset-system", "annotations": p.Annotations()},
	}
}
