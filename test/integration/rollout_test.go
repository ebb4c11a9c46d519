// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"encoding/json"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// teller says of nodes what their agents would, once they have been given something.
type teller map[string]func(p payload.Payload, status *mirrorsetv1alpha1.MirrorNodeStatus)

// follows is an agent that has all it is given in force.
func follows(p payload.Payload, status *mirrorsetv1alpha1.MirrorNodeStatus) {
	if p.Revision <= status.Revision {
		return
	}
	at := metav1.Time{Time: time.Now().Truncate(time.Second)}
	status.Revision, status.Digest = p.Revision, p.Digest
	status.Trial = &mirrorsetv1alpha1.Trial{Revision: p.Revision, State: mirrorsetv1alpha1.TrialPassed}
	for _, kind := range []string{mirrorsetv1alpha1.ConditionApplied, mirrorsetv1alpha1.ConditionRuntimeReady} {
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: "InForce", LastTransitionTime: at})
	}
}

// fails is one whose trial of a text fails.
func fails(text string) func(payload.Payload, *mirrorsetv1alpha1.MirrorNodeStatus) {
	return func(p payload.Payload, status *mirrorsetv1alpha1.MirrorNodeStatus) {
		before := status.Revision
		follows(p, status)
		if status.Revision != before && string(p.Text) == text {
			status.Trial.State, status.Trial.Message = mirrorsetv1alpha1.TrialFailed, "1 image that runs here could not be pulled again"
		}
	}
}

// silent is one that is away.
func silent(payload.Payload, *mirrorsetv1alpha1.MirrorNodeStatus) {}

// tell makes the nodes, and has each follow until the spec ends. Nodes named canary-* get the label of canaries.
func (nodes teller) tell(ctx context.Context) {
	GinkgoHelper()
	for name := range nodes {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelOSStable: "linux"}}}
		if name[0] == 'c' {
			node.Labels["canary"] = "yes"
		}
		Expect(admin.Create(ctx, node)).To(Succeed())
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
			cm, err := configMap(ctx)
			if err != nil {
				continue
			}
			for name, say := range nodes {
				var node mirrorsetv1alpha1.MirrorNode
				p, err := payload.For(cm, name)
				if err == nil && admin.Get(ctx, client.ObjectKey{Name: name}, &node) == nil {
					before := node.Status.DeepCopy()
					if say(p, &node.Status); before.Revision != node.Status.Revision {
						_ = admin.Status().Update(ctx, &node) // what fails is done again
					}
				}
			}
		}
	}()
	DeferCleanup(func() {
		stop()
		<-ended
	})
}

// has returns what a node says it has in force.
func has(ctx context.Context, name string) func() (string, error) {
	return func() (string, error) {
		var node mirrorsetv1alpha1.MirrorNode
		err := admin.Get(ctx, client.ObjectKey{Name: name}, &node)
		return node.Status.Digest, err
	}
}

func digestOf(sets ...*configv1.ImageDigestMirrorSet) string {
	return payload.New(1, []byte(rendered(sets...))).Digest
}

var _ = Describe("A change that goes to canaries first", func() {
	const soak = "--canary-soak=2s"
	staged := func(ctx context.Context) { startManager(ctx, alone, "--canary-selector=canary=yes", soak) }
	old := func() *configv1.ImageDigestMirrorSet { return set("a", entry("quay.io", "m1.local")) }

	It("reaches all nodes after them, under one revision, and nobody else before", func(ctx SpecContext) {
		teller{"canary-1": follows, "canary-2": follows, "node-1": follows}.tell(ctx)
		a := old()
		create(ctx, a)
		startManager(ctx, alone, "--canary-selector=canary=yes", "--canary-soak=10s") // within which a busy machine sees what is said meanwhile
		Eventually(conditionOf(ctx, "a", configv1.ConditionApplied)).Should(says(metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, Not(BeEmpty())))
		before := digestOf(a)
		change(ctx, a, entry("quay.io", "m2.local"))
		Eventually(has(ctx, "canary-2")).Should(Equal(digestOf(a)))
		Expect(has(ctx, "node-1")()).To(Equal(before))
		Eventually(conditionOf(ctx, "a", configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonCanaryProgressing, ContainSubstring("in force on canaries canary-1, canary-2; all other nodes get the change at ")))
		cm, err := configMap(ctx)
		Expect(err).NotTo(HaveOccurred())
		tried, err := payload.ReadCanary(cm)
		Expect(err).NotTo(HaveOccurred())
		Eventually(conditionOf(ctx, "a", configv1.ConditionApplied)).Should(says(metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, Not(BeEmpty())))
		Expect(mustPublished(ctx).Revision).To(Equal(tried.Revision))
		Expect(has(ctx, "node-1")()).To(Equal(digestOf(a)))
		cm, err = configMap(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(cm.Data).NotTo(HaveKey(payload.CanaryKey))
		Expect(cm.BinaryData).To(BeEmpty())
	})

	It("halts where one fails, goes back there, says so, and is not tried again until somebody resumes", func(ctx SpecContext) {
		a := old()
		typo := set("a", entry("quay.io", "m2.local"))
		teller{"canary-1": follows, "canary-2": fails(rendered(typo)), "node-1": follows}.tell(ctx)
		create(ctx, a)
		staged(ctx)
		Eventually(has(ctx, "node-1")).Should(Equal(digestOf(a)))
		before := digestOf(a)
		change(ctx, a, entry("quay.io", "m2.local"))
		Eventually(conditionOf(ctx, "a", configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonCanaryFailed,
			And(ContainSubstring("canary canary-2 failed with this change: 1 image that runs here could not be pulled again"), ContainSubstring("kubectl mirrors rollout resume"))))
		Expect(conditionOf(ctx, "a", configv1.ConditionStalled)()).To(HaveField("Status", metav1.ConditionTrue))
		for _, node := range []string{"canary-1", "canary-2", "node-1"} {
			Eventually(has(ctx, node)).Should(Equal(before))
			Consistently(has(ctx, node), "500ms").Should(Equal(before))
		}
		edit(ctx, func(cm *corev1.ConfigMap) { delete(cm.Annotations, payload.HaltedAnnotation) }) // as kubectl mirrors rollout resume does
		Eventually(has(ctx, "canary-1")).Should(Equal(digestOf(a)))
		Eventually(conditionOf(ctx, "a", configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonCanaryFailed, Not(BeEmpty())))
		change(ctx, a, entry("quay.io", "m3.local"))
		Eventually(conditionOf(ctx, "a", configv1.ConditionApplied)).Should(says(metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, Not(BeEmpty())))
		cm, err := configMap(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(cm.Annotations).NotTo(HaveKey(payload.HaltedAnnotation))
	})

	It("waits for one that is away, and goes on without it once it is none any more", func(ctx SpecContext) {
		teller{"canary-1": follows, "canary-2": silent, "node-1": follows}.tell(ctx)
		a := old()
		create(ctx, a)
		staged(ctx)
		before := digestOf(a)
		Eventually(has(ctx, "node-1")).Should(Equal(before))
		change(ctx, a, entry("quay.io", "m2.local"))
		Eventually(conditionOf(ctx, "a", configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonCanaryProgressing,
			ContainSubstring("in force on 1 of 2 canaries, which get a change before all other nodes; waiting for canary-2")))
		Consistently(has(ctx, "node-1"), "3s").Should(Equal(before), "the soak time is over, and not for all canaries")
		away := &corev1.Node{}
		Expect(admin.Get(ctx, client.ObjectKey{Name: "canary-2"}, away)).To(Succeed())
		delete(away.Labels, "canary")
		Expect(admin.Update(ctx, away)).To(Succeed())
		Eventually(has(ctx, "node-1")).Should(Equal(digestOf(a)))
	})

	It("waits for a canary, and for nobody's second payload", func(ctx SpecContext) {
		teller{"node-1": follows}.tell(ctx)
		a := old()
		create(ctx, a)
		staged(ctx)
		Eventually(has(ctx, "node-1")).Should(Equal(digestOf(a)))
		before := digestOf(a)
		change(ctx, a, entry("quay.io", "m2.local"))
		Eventually(conditionOf(ctx, "a", configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonNoCanaries, ContainSubstring("--canary-selector")))
		edit(ctx, func(cm *corev1.ConfigMap) { cm.Data[payload.CanaryKey] = `{"nodes":["node-1"]}` })
		Eventually(func(g Gomega) {
			cm, err := configMap(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(cm.Data).NotTo(HaveKey(payload.CanaryKey))
		}).Should(Succeed())
		Expect(has(ctx, "node-1")()).To(Equal(before))
		node := &corev1.Node{}
		Expect(admin.Get(ctx, client.ObjectKey{Name: "node-1"}, node)).To(Succeed())
		node.Labels["canary"] = "yes"
		Expect(admin.Update(ctx, node)).To(Succeed())
		Eventually(conditionOf(ctx, "a", configv1.ConditionApplied)).Should(says(metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, Not(BeEmpty())))
	})
})

var _ = Describe("Somebody", func() {
	It("cannot give nodes anything by a second payload, whether or not changes go by stages", func(ctx SpecContext) {
		teller{"canary-1": follows, "node-1": follows}.tell(ctx)
		a := set("a", entry("quay.io", "m1.local"))
		create(ctx, a)
		for _, args := range [][]string{{alone}, {alone, "--canary-selector=canary=yes", "--canary-soak=2s"}} {
			manager := startManager(ctx, args...)
			Eventually(has(ctx, "node-1")).Should(Equal(digestOf(a)))
			forged := &payload.Canary{Payload: payload.New(mustPublished(ctx).Revision+1, []byte(rendered(set("a", entry("quay.io", "evil.local"))))), Nodes: []string{"canary-1", "node-1"}}
			data, binaryData, err := mustPublished(ctx).DataBeside(forged)
			Expect(err).NotTo(HaveOccurred())
			for range 8 { // as often as they like, and each time at once: damage is mended less and less often
				edit(ctx, func(cm *corev1.ConfigMap) {
					cm.Data[payload.CanaryKey] = data[payload.CanaryKey]
					cm.BinaryData = map[string][]byte{payload.CanaryTextKey: binaryData[payload.CanaryTextKey]}
				})
				Eventually(func(g Gomega) {
					cm, err := configMap(ctx)
					g.Expect(err).NotTo(HaveOccurred())
					g.Expect(cm.Data).NotTo(HaveKey(payload.CanaryKey))
				}, "20s").Should(Succeed())
			}
			for _, node := range []string{"canary-1", "node-1"} {
				Eventually(has(ctx, node)).Should(Equal(digestOf(a)))
			}
			manager.Kill()
		}
	})

	It("pauses what is published, over a manager that starts and a ConfigMap that is made anew, and undoes it until it is resumed", func(ctx SpecContext) {
		teller{"node-1": follows}.tell(ctx)
		a, b := set("a", entry("quay.io", "m1.local")), set("b", entry("ghcr.io", "m1.local"))
		create(ctx, a)
		manager := startManager(ctx, alone)
		Eventually(has(ctx, "node-1")).Should(Equal(digestOf(a)))
		first := mustPublished(ctx)
		order, err := json.Marshal(payload.Order{By: "alice", Why: "a freeze"})
		Expect(err).NotTo(HaveOccurred())
		edit(ctx, func(cm *corev1.ConfigMap) { cm.Annotations[payload.PausedAnnotation] = string(order) })
		create(ctx, b)
		Eventually(conditionOf(ctx, "b", configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonPaused, Equal("paused by alice (a freeze); to continue, run: kubectl mirrors rollout resume")))
		Expect(conditionOf(ctx, "a", configv1.ConditionApplied)()).To(HaveField("Status", metav1.ConditionTrue))
		manager.Kill()
		startManager(ctx, alone)
		edit(ctx, func(cm *corev1.ConfigMap) { cm.Data[payload.Key] = "mine" })
		Eventually(func() (string, error) {
			p, err := published(ctx)
			return p.Digest, err
		}).Should(Equal(digestOf(a)))
		Consistently(has(ctx, "node-1"), "1s").Should(Equal(digestOf(a)))

		edit(ctx, func(cm *corev1.ConfigMap) { delete(cm.Annotations, payload.PausedAnnotation) })
		Eventually(has(ctx, "node-1")).Should(Equal(digestOf(a, b)))
		Eventually(conditionOf(ctx, "b", configv1.ConditionApplied)).Should(HaveField("Status", metav1.ConditionTrue))

		order, err = json.Marshal(payload.Undo{Order: payload.Order{By: "bob"}, Revision: first.Revision, Digest: first.Digest})
		Expect(err).NotTo(HaveOccurred())
		yes := true
		edit(ctx, func(cm *corev1.ConfigMap) {
			cm.Annotations[payload.UndoneAnnotation], cm.Immutable = string(order), &yes
		})
		Eventually(has(ctx, "node-1")).Should(Equal(digestOf(a)))
		Eventually(conditionOf(ctx, "b", configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonRolledBack, ContainSubstring("by bob; to publish the rules of the sets, run: kubectl mirrors rollout resume")))
		Expect(conditionOf(ctx, "a", configv1.ConditionApplied)()).To(HaveField("Status", metav1.ConditionTrue))
		cm, err := configMap(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(cm.Immutable).To(BeNil(), "it was made anew, with the order")
		edit(ctx, func(cm *corev1.ConfigMap) { delete(cm.Annotations, payload.UndoneAnnotation) })
		Eventually(has(ctx, "node-1")).Should(Equal(digestOf(a, b)))
		Eventually(conditionOf(ctx, "b", configv1.ConditionApplied)).Should(HaveField("Status", metav1.ConditionTrue))
	})
})
