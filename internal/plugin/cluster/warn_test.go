// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// An answer by the sets is one about the nodes only where these are to have them.
func TestAnAnswerSaysThatNotAllNodesAreToHaveTheSets(t *testing.T) {
	other := plugintest.Current
	other.Sets = "sha256:of-other-sets"
	paused := payload.Rollout{Paused: &payload.Order{By: "jane"}}
	canary := &payload.Canary{Payload: payload.New(plugintest.CurrentRevision+1, []byte("x")), Nodes: []string{"node-1"}}
	served := func(p payload.Payload, c *payload.Canary, r payload.Rollout) http.HandlerFunc {
		return plugintest.NewSteered(t, p, c, r).Serve
	}
	const not = "warning: NotOnAllNodes: this answer is by the sets as they are now, and not all nodes get them yet: "
	for _, tt := range []struct {
		name, want string
		configMap  any
	}{
		{"nothing keeps them back", "", served(plugintest.Current, nil, payload.Rollout{})},
		{"a pause that keeps nothing back", "", served(plugintest.Current, nil, paused)},
		{"the manager is about to publish them", "", served(other, nil, payload.Rollout{})},
		{"paused", not + "paused by jane. To continue: kubectl mirrors rollout resume\n", served(other, nil, paused)},
		{"canaries try them", not + "1 canary tries revision 1795573438819 first\n", served(other, canary, payload.Rollout{})},
		{"nothing is published", "", nil},
		{"a ConfigMap that may not be read", "", http.HandlerFunc(plugintest.Refuse)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			objects := map[string]any{plugintest.ConfigMapPath: tt.configMap}
			if tt.configMap == nil {
				delete(objects, plugintest.ConfigMapPath)
			}
			var stderr strings.Builder
			connected(t, cluster.NewFlags(), plugintest.Serve(t, objects)).WarnOfHold(t.Context(), nil, &stderr)
			if stderr.String() != tt.want {
				t.Errorf("%q, want %q", stderr.String(), tt.want)
			}
		})
	}
}
