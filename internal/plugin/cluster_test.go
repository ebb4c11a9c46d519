// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// The paths of what is read.
const (
	setsPath      = "/apis/config.openshift.io/v1/imagedigestmirrorsets"
	nodesPath     = "/apis/mirrorset.io/v1alpha1/mirrornodes"
	configMapPath = "/api/v1/namespaces/mirrorset-system/configmaps/containers-registries.conf"
)

// serve answers with the objects by path, and else as an API server does that has none. It stands in for what a test of
// output cannot ask of a real one; test/integration has that.
func serve(t *testing.T, objects map[string]any) (url string) {
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

// connected returns the cluster at a URL.
func connected(t *testing.T, url string) *cluster {
	t.Helper()
	cmd, flags := &cobra.Command{}, newClusterFlags()
	flags.addFlags(cmd)
	if err := cmd.ParseFlags([]string{"--server", url}); err != nil {
		t.Fatal(err)
	}
	c, err := flags.connect()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// setList, nodeList and configMapOf are what the API server returns.
func setList(sets ...configv1.ImageDigestMirrorSet) configv1.ImageDigestMirrorSetList {
	list := configv1.ImageDigestMirrorSetList{TypeMeta: metav1.TypeMeta{APIVersion: "config.openshift.io/v1", Kind: "ImageDigestMirrorSetList"}, Items: sets}
	for i := range list.Items {
		list.Items[i].TypeMeta = metav1.TypeMeta{APIVersion: "config.openshift.io/v1", Kind: "ImageDigestMirrorSet"}
	}
	return list
}

func nodeList(nodes ...mirrorsetv1alpha1.MirrorNode) mirrorsetv1alpha1.MirrorNodeList {
	list := mirrorsetv1alpha1.MirrorNodeList{TypeMeta: metav1.TypeMeta{APIVersion: "mirrorset.io/v1alpha1", Kind: "MirrorNodeList"}, Items: nodes}
	for i := range list.Items {
		list.Items[i].TypeMeta = metav1.TypeMeta{APIVersion: "mirrorset.io/v1alpha1", Kind: "MirrorNode"}
	}
	return list
}

func configMapOf(t *testing.T, p payload.Payload) map[string]any {
	t.Helper()
	data, binaryData, err := p.Data()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": data, "binaryData": binaryData,
		"metadata": map[string]any{"name": payload.ConfigMapName, "namespace": installedNamespace, "annotations": p.Annotations()},
	}
}

func TestAClusterIsRead(t *testing.T) {
	set, node := configv1.ImageDigestMirrorSet{}, mirrorsetv1alpha1.MirrorNode{}
	set.Name, node.Name = "a", "node-1"
	set.Spec.ImageDigestMirrors = []configv1.ImageDigestMirrors{{Source: "s.com", Mirrors: []configv1.ImageMirror{"m.local"}}}
	node.Status.Revision = 7
	p := payload.New(7, []byte("x"))
	c := connected(t, serve(t, map[string]any{setsPath: setList(set), nodesPath: nodeList(node), configMapPath: configMapOf(t, p)}))

	sets, err := c.sets(t.Context())
	if err != nil || len(sets) != 1 || sets[0].Name != "a" || !slices.Equal(sets[0].Spec.ImageDigestMirrors[0].Mirrors, []configv1.ImageMirror{"m.local"}) {
		t.Errorf("sets %v, error %v", sets, err)
	}
	nodes, err := c.nodes(t.Context())
	if err != nil || len(nodes) != 1 || nodes[0].Name != "node-1" || nodes[0].Status.Revision != 7 {
		t.Errorf("nodes %v, error %v", nodes, err)
	}
	got, err := c.published(t.Context())
	if err != nil || got.Revision != 7 || string(got.Text) != "x" {
		t.Errorf("published %v, error %v", got, err)
	}
}

func TestPagesAreReadToTheEnd(t *testing.T) {
	page := func(w http.ResponseWriter, r *http.Request) {
		node := mirrorsetv1alpha1.MirrorNode{}
		node.Name = "node-" + r.URL.Query().Get("continue")
		list := nodeList(node)
		if r.URL.Query().Get("limit") != "" && len(node.Name) < len("node-xx") {
			list.Continue = r.URL.Query().Get("continue") + "x"
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list) // the client says so
	}
	nodes, err := connected(t, serve(t, map[string]any{nodesPath: http.HandlerFunc(page)})).nodes(t.Context())
	if err != nil || len(nodes) != 3 {
		t.Errorf("%d nodes, error %v", len(nodes), err)
	}
}

func TestAClusterWithoutMirrorsetIsNamedAsSuch(t *testing.T) {
	c := connected(t, serve(t, nil))
	for _, tt := range []struct {
		want string
		read func() error
	}{
		{"the cluster does not serve imagedigestmirrorsets.config.openshift.io; is Mirrorset installed there?", func() error { _, err := c.sets(t.Context()); return err }},
		{"the cluster does not serve mirrornodes.mirrorset.io; is Mirrorset installed there?", func() error { _, err := c.nodes(t.Context()); return err }},
		{"there is no ConfigMap containers-registries.conf in namespace mirrorset-system", func() error { _, err := c.published(t.Context()); return err }},
	} {
		if err := tt.read(); err == nil || !strings.Contains(err.Error(), tt.want) || !apierrors.IsNotFound(err) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}
