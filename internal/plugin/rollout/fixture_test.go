// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// at is when people did what they did.
var at = metav1.Date(2026, 11, 29, 16, 40, 5, 0, time.UTC)

// aSet is the set quay in a generation, with one entry, which blocks the source or not.
func aSet(generation int64, mirror string, policy configv1.MirrorSourcePolicy) configv1.ImageDigestMirrorSet {
	s := configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: "quay", UID: types.UID("u"), Generation: generation,
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl-edit", Time: &at, Operation: metav1.ManagedFieldsOperationUpdate}}}}
	s.Spec.ImageDigestMirrors = []configv1.ImageDigestMirrors{{Source: "quay.io", Mirrors: []configv1.ImageMirror{configv1.ImageMirror(mirror)}, MirrorSourcePolicy: policy}}
	return s
}

// told is a set as the manager has told of it.
func told(s configv1.ImageDigestMirrorSet, reason, message string) configv1.ImageDigestMirrorSet {
	s.Status.ObservedGeneration = s.Generation
	s.Status.Conditions = []metav1.Condition{{Type: configv1.ConditionApplied, Status: metav1.ConditionFalse, Reason: reason, Message: message}}
	return s
}

func setsOf(t *testing.T, objects ...configv1.ImageDigestMirrorSet) []kinds.Set {
	t.Helper()
	sets, err := mirrorstest.Of(objects...)
	if err != nil {
		t.Fatal(err)
	}
	return sets
}

// payloadOf is what the manager publishes of sets.
func payloadOf(t *testing.T, revision int64, objects ...configv1.ImageDigestMirrorSet) payload.Payload {
	t.Helper()
	sets := setsOf(t, objects...)
	text, err := registriesconf.Encode(kinds.Merge(sets, nil).Rules)
	if err != nil {
		t.Fatal(err)
	}
	p := payload.New(revision, text)
	p.Sets = kinds.DigestOf(sets)
	return p
}

// recordOf is the record of the same, after another.
func recordOf(t *testing.T, revision int64, before *history.Record, objects ...configv1.ImageDigestMirrorSet) history.Record {
	t.Helper()
	r := history.Of(payloadOf(t, revision, objects...), setsOf(t, objects...), before)
	r.Published = metav1.Time{Time: time.UnixMilli(revision)}
	return r
}

// nodeWith is a node that has a payload in force.
func nodeWith(name string, p payload.Payload, changes ...func(*mirrorsetv1alpha1.MirrorNode)) mirrorsetv1alpha1.MirrorNode {
	return plugintest.NodeAt(name, p.Revision, append(changes, func(n *mirrorsetv1alpha1.MirrorNode) {
		if n.Status.Revision != 0 {
			n.Status.Digest = p.Digest
		}
	})...)
}

// fixture is what an API server has.
type fixture struct {
	sets      []configv1.ImageDigestMirrorSet
	records   []history.Record
	nodes     []mirrorsetv1alpha1.MirrorNode
	configMap *plugintest.Steered
}

// serve returns the objects by path.
func (f *fixture) serve(t *testing.T) map[string]any {
	t.Helper()
	sets, nodes, none := plugintest.SetList(f.sets...), plugintest.NodeList(f.nodes...), plugintest.TagSetList()
	objects := map[string]any{
		plugintest.SetsPath:    plugintest.Lists(t, sets, func() any { return sets }),
		plugintest.TagSetsPath: plugintest.Lists(t, none, func() any { return none }),
		plugintest.NodesPath:   plugintest.Lists(t, nodes, func() any { return nodes }),
		plugintest.RecordsPath: plugintest.RecordList(t, f.records...),
		plugintest.ReviewsPath: plugintest.ReviewOf("jane"),
	}
	if f.configMap != nil {
		objects[plugintest.ConfigMapPath] = http.HandlerFunc(f.configMap.Serve)
		objects[plugintest.ConfigMapsPath] = f.configMap.List()
	}
	return objects
}

// run runs the verb as the program does.
func run(t *testing.T, objects map[string]any, args ...string) plugintest.Result {
	t.Helper()
	return plugintest.Run(t, plugintest.Program(Command()), "", append([]string{"rollout", "--server", plugintest.Serve(t, objects)}, args...)...)
}
