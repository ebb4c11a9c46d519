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
func connected(t *testing.T, flags cluster.Flags, url string) *cluster.Cluster {
	t.Helper()
	cmd := &cobra.Command{}
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
	tags := configv1.ImageTagMirrorSet{}
	tags.Name = "a"
	tags.Spec.ImageTagMirrors = []configv1.ImageTagMirrors{{Source: "s.com", Mirrors: []configv1.ImageMirror{"t.local"}}}
	node.Status.Revision = 7
	p := payload.New(7, []byte("x"))
	c := connected(t, cluster.NewFlags(), plugintest.Serve(t, map[string]any{plugintest.SetsPath: plugintest.SetList(set), plugintest.TagSetsPath: plugintest.TagSetList(tags), plugintest.NodesPath: plugintest.NodeList(node), plugintest.ConfigMapPath: plugintest.ConfigMapOf(t, p)}))

	sets, err := c.Sets(t.Context())
	if err != nil || len(sets) != 2 || sets[0].GetName() != "a" || !slices.Equal(sets[0].Entries[0].Mirrors, []string{"m.local"}) {
		t.Errorf("sets %v, error %v", sets, err)
	} else if sets[1].Ref().String() != "itms/a" || !slices.Equal(sets[1].Entries[0].Mirrors, []string{"t.local"}) {
		t.Errorf("the second set is %v", sets[1])
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

// An older manager installs no CRD for tags. Sets about digests can be read all the same, and nothing is kept quiet.
func TestAClusterWithoutTagSetsHasTheOthers(t *testing.T) {
	set := configv1.ImageDigestMirrorSet{}
	set.Name = "a"
	tagSets := http.HandlerFunc(plugintest.Refuse)
	for _, tt := range []struct {
		name    string
		objects map[string]any
		sets    int
		warning string
		failed  bool
	}{
		{"none of them", map[string]any{plugintest.SetsPath: plugintest.SetList(set)}, 1, "warning: NotServed: the API server does not serve imagetagmirrorsets.config.openshift.io, " +
			"because the manager is older than this plugin: the cluster has no ImageTagMirrorSets, and you cannot apply any\n", false},
		{"both", map[string]any{plugintest.SetsPath: plugintest.SetList(set), plugintest.TagSetsPath: plugintest.TagSetList()}, 1, "", false},
		{"tag sets that may not be read", map[string]any{plugintest.SetsPath: plugintest.SetList(set), plugintest.TagSetsPath: tagSets}, 0, "", true},
		{"tag sets alone", map[string]any{plugintest.TagSetsPath: plugintest.TagSetList()}, 0, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connected(t, cluster.NewFlags(), plugintest.Serve(t, tt.objects))
			for range 2 { // each time anew
				sets, err := c.Sets(t.Context())
				if len(sets) != tt.sets || (err != nil) != tt.failed {
					t.Errorf("%d sets, error %v", len(sets), err)
				}
			}
			var stderr strings.Builder
			c.WarnOfLacks(&stderr)
			if stderr.String() != tt.warning {
				t.Errorf("%q, want %q", stderr.String(), tt.warning)
			}
		})
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
	nodes, err := connected(t, cluster.NewFlags(), plugintest.Serve(t, map[string]any{plugintest.NodesPath: http.HandlerFunc(page)})).Nodes(t.Context())
	if err != nil || len(nodes) != 3 {
		t.Errorf("%d nodes, error %v", len(nodes), err)
	}
}

func TestAClusterWithoutMirrorsetIsNamedAsSuch(t *testing.T) {
	c := connected(t, cluster.NewFlags(), plugintest.Serve(t, nil))
	for _, tt := range []struct {
		want string
		read func() error
	}{
		{"the API server does not serve imagedigestmirrorsets.config.openshift.io; check that Mirrorset is installed in this cluster", func() error { _, err := c.Sets(t.Context()); return err }},
		{"the API server does not serve mirrornodes.mirrorset.io; check that Mirrorset is installed in this cluster", func() error { _, err := c.Nodes(t.Context()); return err }},
		{"there is no ConfigMap containers-registries.conf in namespace mirrorset-system", func() error { _, err := c.Published(t.Context()); return err }},
	} {
		if err := tt.read(); err == nil || !strings.Contains(err.Error(), tt.want) || !apierrors.IsNotFound(err) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}
