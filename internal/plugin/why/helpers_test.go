// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"maps"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

const (
	podPath    = "/api/v1/namespaces/team/pods/app-0"
	eventsPath = "/api/v1/namespaces/team/events"
	nodePath   = plugintest.NodesPath + "/node-1"
	agentsPath = "/api/v1/namespaces/mirrorset-system/pods"
	image      = "ghcr.io/example/app:v1"
)

var failedAt = time.Date(2026, 11, 29, 18, 0, 50, 0, time.UTC)

// pod has a container that waits for its image for a reason, on node-1, after changes.
func pod(reason, message string, changes ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "app-0", UID: "u"},
		Spec:       corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "app", Image: image}}},
		Status:     corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: waits(reason, message)}}},
	}
	for _, change := range changes {
		change(p)
	}
	return p
}

func waits(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// event is one of the kubelet's about a container, or about the Pod.
func event(container, reason, message string, at time.Time) corev1.Event {
	e := corev1.Event{
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "app-0", UID: "u"}, Reason: reason, Message: message, Type: corev1.EventTypeWarning, LastTimestamp: metav1.Time{Time: at},
	}
	if container != "" {
		e.InvolvedObject.FieldPath = "spec.containers{" + container + "}"
	}
	return e
}

// closed is what the set of a world says.
var closed = configv1.ImageDigestMirrors{Source: "ghcr.io/example", Mirrors: []configv1.ImageMirror{"registry.site.example:5000/example"}, MirrorSourcePolicy: configv1.NeverContactSource}

// payloadOf is what a manager publishes of one set with an entry, at a revision.
func payloadOf(t *testing.T, revision int64, entry configv1.ImageDigestMirrors) (configv1.ImageDigestMirrorSet, payload.Payload) {
	t.Helper()
	set := configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: "30-airgap", UID: "s", Generation: 1}}
	set.Spec.ImageDigestMirrors = []configv1.ImageDigestMirrors{entry}
	sets, err := kinds.Digest.FromList(&configv1.ImageDigestMirrorSetList{Items: []configv1.ImageDigestMirrorSet{set}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := registriesconf.Encode(kinds.Merge(sets, nil).Rules)
	if err != nil {
		t.Fatal(err)
	}
	p := payload.New(revision, text)
	p.Sets, p.Blockers = kinds.DigestOf(sets), map[string]string{entry.Source: set.Name}
	return set, p
}

// world is a cluster in which one set is in force on node-1, with a Pod and its events.
func world(t *testing.T, p *corev1.Pod, events ...corev1.Event) map[string]any {
	t.Helper()
	return worldOf(t, closed, p, events...)
}

func worldOf(t *testing.T, entry configv1.ImageDigestMirrors, p *corev1.Pod, events ...corev1.Event) map[string]any {
	t.Helper()
	set, published := payloadOf(t, plugintest.CurrentRevision, entry)
	node := nodeAt(published)
	objects := map[string]any{
		plugintest.SetsPath: plugintest.SetList(set), plugintest.TagSetsPath: plugintest.TagSetList(), plugintest.ConfigMapPath: plugintest.ConfigMapOf(t, published),
		plugintest.NodesPath: plugintest.NodeList(node), nodePath: node, agentsPath: corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}},
		eventsPath: corev1.EventList{TypeMeta: metav1.TypeMeta{Kind: "EventList", APIVersion: "v1"}, Items: events},
	}
	if p != nil {
		objects[podPath] = p
	}
	return objects
}

// nodeAt is node-1 with a payload in force.
func nodeAt(p payload.Payload, changes ...func(*mirrorsetv1alpha1.MirrorNode)) mirrorsetv1alpha1.MirrorNode {
	return plugintest.NodeAt("node-1", p.Revision, append(changes, func(n *mirrorsetv1alpha1.MirrorNode) {
		n.TypeMeta = metav1.TypeMeta{APIVersion: "mirrorset.io/v1alpha1", Kind: "MirrorNode"}
		n.Status.Digest, n.Status.AppliedAt = p.Digest, &metav1.Time{Time: failedAt.Add(-time.Hour)}
	})...)
}

// with changes what is answered at some paths; nil is nothing.
func with(objects map[string]any, changed map[string]any) map[string]any {
	maps.Copy(objects, changed)
	maps.DeleteFunc(objects, func(_ string, object any) bool { return object == nil })
	return objects
}

func ask(t *testing.T, objects map[string]any, args ...string) plugintest.Result {
	t.Helper()
	return plugintest.Run(t, plugintest.Program(Command()), "", append([]string{"why", "app-0", "-n", "team", "--server", plugintest.Serve(t, objects)}, args...)...)
}

const noPulls = "note: unknown: the pulls that node node-1 saw: no agent runs on this node: "

func failed(name string) corev1.Event {
	return event("app", "Failed", `Failed to pull image "`+name+`": denied: source ghcr.io/example is blocked by policy NeverContactSource`, failedAt)
}
