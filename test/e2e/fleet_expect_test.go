// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// tellState has the report of a spec that failed say how the fleet is.
func (f *fleet) tellState(ctx context.Context) {
	if f != nil && CurrentSpecReport().Failed() {
		nodes, _ := f.Kubectl(ctx, "get", "mirrornodes,events.events.k8s.io", "-A", "-o", "wide").CombinedOutput() // an error is in what it prints
		AddReportEntry("state of the fleet", string(nodes)+f.Logs(15)+f.logsOf(ctx, "manager"), ReportEntryVisibilityFailureOrVerbose)
	}
}

// beApplied, beDegraded and beProgressing match the condition of a set.
func beApplied() types.GomegaMatcher {
	return HaveValue(And(HaveField("Status", metav1.ConditionTrue), HaveField("Reason", configv1.ReasonAppliedOnAllNodes), HaveField("Message", HavePrefix("in force: every node"))))
}

func beDegraded(message types.GomegaMatcher) types.GomegaMatcher {
	return HaveValue(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", configv1.ReasonDegraded), HaveField("Message", message)))
}

func beProgressing(message string) types.GomegaMatcher {
	return HaveValue(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", configv1.ReasonProgressing), HaveField("Message", message)))
}

// applied returns the condition Applied of a set, and none while it is about an earlier generation.
func (f *fleet) applied(ctx context.Context, name string) *metav1.Condition {
	GinkgoHelper()
	var found configv1.ImageDigestMirrorSet
	Expect(f.objects.Get(ctx, client.ObjectKey{Name: name}, &found)).To(Succeed())
	return current(&found)
}

func current(found *configv1.ImageDigestMirrorSet) *metav1.Condition {
	for i := range found.Status.Conditions {
		if c := &found.Status.Conditions[i]; c.Type == configv1.ConditionApplied && c.ObservedGeneration == found.Generation {
			return c
		}
	}
	return nil
}

func (f *fleet) expectApplied(ctx context.Context, name string, matcher types.GomegaMatcher) {
	GinkgoHelper()
	Eventually(f.applied).WithArguments(ctx, name).WithTimeout(convergeTimeout).WithPolling(100 * time.Millisecond).Should(And(Not(BeNil()), matcher))
}

// expectRevision waits until all nodes have what is published since.
func (f *fleet) expectRevision(ctx context.Context, since time.Time) {
	GinkgoHelper()
	Eventually(f.published).WithArguments(ctx).WithTimeout(convergeTimeout).WithPolling(50 * time.Millisecond).Should(BeNumerically(">=", since.UnixMilli()))
	f.expectReported(ctx)
	reportTime(fmt.Sprintf("all %d nodes said that they have it in force after", len(f.agents)+1), since)
}

// expectReported waits until all nodes say that they have what is published.
func (f *fleet) expectReported(ctx context.Context) {
	GinkgoHelper()
	want := map[int64]int{f.published(ctx): len(f.agents) + 1}
	Eventually(f.revisions).WithArguments(ctx).WithTimeout(convergeTimeout).WithPolling(50 * time.Millisecond).Should(Equal(want))
}

// notApplied returns how many sets are not.
func (f *fleet) notApplied(ctx context.Context) (n int) {
	GinkgoHelper()
	var sets configv1.ImageDigestMirrorSetList
	Expect(f.objects.List(ctx, &sets)).To(Succeed())
	for i := range sets.Items {
		if c := current(&sets.Items[i]); c == nil || c.Status != metav1.ConditionTrue {
			n++
		}
	}
	return n
}
