// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/agent/trial"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// loopOf returns the loop of a node, which sees what the test publishes.
func loopOf(t testing.TB, n *host, root, name string) *loop {
	t.Helper()
	newQueue := func() workqueue.TypedRateLimitingInterface[struct{}] {
		return workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[struct{}](retryFirst, retryLast))
	}
	l := &loop{
		node: n.node, name: name, log: n.log, queue: newQueue(), hostRoot: root, reporter: &reporter{queue: newQueue()},
		informer: cache.NewSharedIndexInformer(&cache.ListWatch{}, &corev1.ConfigMap{}, 0, cache.Indexers{}),
	}
	l.trials = trial.New(n.trialConfig(), n.accepted)
	t.Cleanup(func() {
		l.trials.Close()
		if l.files != nil {
			_ = l.files.Close()
		}
	})
	return l
}

// publish puts a ConfigMap where the loop sees it; the canary may be nil.
func publish(t testing.TB, l *loop, fleet payload.Payload, canary *payload.Canary) *corev1.ConfigMap {
	t.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: payload.ConfigMapName, Annotations: fleet.Annotations()}}
	var err error
	if cm.Data, cm.BinaryData, err = fleet.DataBeside(canary); err != nil {
		t.Fatal(err)
	}
	if err := l.informer.GetStore().Add(cm); err != nil {
		t.Fatal(err)
	}
	return cm
}

// TestANodeTakesThePayloadThatIsForIt follows a change through a stage on a canary and on another node (C1, C3).
func TestANodeTakesThePayloadThatIsForIt(t *testing.T) {
	fleet, back := sinktest.Payload(t, 0, "old.com"), sinktest.Payload(t, 2, "old.com")
	change := &payload.Canary{Payload: sinktest.Payload(t, 1, "new.com"), Nodes: []string{"canary"}}
	for name, want := range map[string]string{"canary": "new.com", "other": "old.com"} {
		n, root, _ := newHost(t, nil)
		l := loopOf(t, n, root, name)
		pass := func(step, want, problem string) {
			t.Helper()
			if err := l.pass(t.Context()); (err != nil) != (problem != "") || err != nil && !strings.Contains(err.Error(), problem) {
				t.Errorf("%s, %s: error %v, want one with %q", name, step, err, problem)
			}
			wantDropIn(t, root, sinktest.Text(t, want))
		}
		publish(t, l, fleet, nil)
		pass("before the change", "old.com", "")
		cm := publish(t, l, fleet, change)
		pass("in the stage", want, "")
		damaged := cm.DeepCopy() // what was read once is not read again, and no informer changes it
		damaged.BinaryData[payload.CanaryTextKey] = []byte("x")
		if err := l.informer.GetStore().Update(damaged); err != nil {
			t.Fatal(err)
		}
		problem := map[string]string{"canary": "canary.gz"}[name] // which leaves what is in force as it is
		pass("with a damaged second payload", want, problem)
		pass("with a damaged second payload, in the next pass", want, problem)
		publish(t, l, fleet, nil)
		pass("while nobody has published later rules", want, map[string]string{"canary": "older"}[name])
		publish(t, l, back, nil)
		pass("once it is led back", "old.com", "")
		if n.accepted.Revision != sinktest.First+2 {
			t.Errorf("%s has revision %d", name, n.accepted.Revision)
		}
	}
}

func TestTheSameRulesUnderALaterRevisionAreAsOldAsTheyWere(t *testing.T) {
	n, _, _ := newHost(t, nil)
	var since []time.Time
	for i, source := range []string{"old.com", "old.com", "new.com"} {
		offer(t, n, int64(i), source)
		since = append(since, n.since)
	}
	if since[0].IsZero() || !since[1].Equal(since[0]) || !since[2].After(since[1]) {
		t.Errorf("got %v", since)
	}
}
