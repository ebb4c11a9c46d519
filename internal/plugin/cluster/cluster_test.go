// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// connected returns the cluster at a URL.
func connected(t *testing.T, url string) *cluster.Cluster {
	t.Helper()
	cmd, flags := &cobra.Command{}, cluster.NewFlags()
	flags.Add(cmd)
	if err := cmd.ParseFlags([]string{"--server", url}); err != nil {
		t.Fatal(err)
	}
	c, err := flags.Connect()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAClusterIsRead(t *testing.T) {
	set, node := configv1.ImageDigestMirrorSet{}, mirrorsetv1alpha1.MirrorNode{}
	set.Name, node.Name = "a", "node-1"
	set.Spec.ImageDigestMirrors = []configv1.ImageDigestMirrors{{Source: "s.com", Mirrors: []configv1.ImageMirror{"m.local"}}}
	node.Status.Revision = 7
	p := payload.New(7, []byte("x"))
	c := connected(t, plugintest.Serve(t, map[string]any{plugintest.SetsPath: plugintest.SetList(set), plugintest.NodesPath: plugintest.NodeList(node), plugintest.ConfigMapPath: plugintest.ConfigMapOf(t, p)}))

	sets, err := c.Sets(t.Context())
	if err != nil || len(sets) != 1 || sets[0].GetName() != "a" || !slices.Equal(sets[0].Entries[0].Mirrors, []string{"m.local"}) {
		t.Errorf("sets %v, error %v", sets, err)
	}
	nodes, err := c.Nodes(t.Context())
	if err != nil || len(nodes) != 1 || nodes[0].Name != "node-1" || nodes[0].Status.Revision != 7 {
		t.Errorf("nodes %v, error %v", nodes, err)
	}
	got, err := c.Published(t.Context())
	if err != nil || got.Revision != 7 || string(got.Text) != "x" {
		t.Errorf("published %v, error %v", got, err)
	}
}

func TestPagesAreReadToTheEnd(t *testing.T) {
	page := func(w http.ResponseWriter, r *http.Request) {
		node := mirrorsetv1alpha1.MirrorNode{}
		node.Name = "node-" + r.URL.Query().Get("continue")
		list := plugintest.NodeList(node)
		if r.URL.Query().Get("limit") != "" && len(node.Name) < len("node-xx") {
			list.Continue = r.URL.Query().Get("continue") + "x"
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list) // the client says so
	}
	nodes, err := connected(t, plugintest.Serve(t, map[string]any{plugintest.NodesPath: http.HandlerFunc(page)})).Nodes(t.Context())
	if err != nil || len(nodes) != 3 {
		t.Errorf("%d nodes, error %v", len(nodes), err)
	}
}

func TestAClusterWithoutMirrorsetIsNamedAsSuch(t *testing.T) {
	c := connected(t, plugintest.Serve(t, nil))
	for _, tt := range []struct {
		want string
		read func() error
	}{
		{"the cluster does not serve imagedigestmirrorsets.config.openshift.io; is Mirrorset installed there?", func() error { _, err := c.Sets(t.Context()); return err }},
		{"the cluster does not serve mirrornodes.mirrorset.io; is Mirrorset installed there?", func() error { _, err := c.Nodes(t.Context()); return err }},
		{"there is no ConfigMap containers-registries.conf in namespace mirrorset-system", func() error { _, err := c.Published(t.Context()); return err }},
	} {
		if err := tt.read(); err == nil || !strings.Contains(err.Error(), tt.want) || !apierrors.IsNotFound(err) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}
