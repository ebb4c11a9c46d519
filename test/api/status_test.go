// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// condition is one that the API server takes.
func condition(kind, value, reason, message string) metav1.Condition {
	return metav1.Condition{
		Type: kind, Status: metav1.ConditionStatus(value), Reason: reason, Message: message,
		LastTransitionTime: metav1.Time{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Local()},
	}
}

// statusOf is the manager's half of a set: two of its three rules are in force, and one node is still to follow.
func statusOf() configv1.MirrorSetStatus {
	return configv1.MirrorSetStatus{
		ObservedGeneration: 1, Revision: 1795572622184, Sources: ptr.To[int32](3), Mirrors: ptr.To[int32](0),
		Conditions: []metav1.Condition{
			condition(configv1.ConditionAccepted, "False", configv1.ReasonPartsLeftOut, "1 of 3 entries is left out"),
			condition(configv1.ConditionApplied, "False", configv1.ReasonProgressing, "in force on 49 of 50 nodes"),
		},
		Findings: []configv1.Finding{
			{Reason: "InvalidMirror", Message: `mirror "x" of source "s.com" is left out`, Entry: ptr.To[int32](0)},
			{Reason: "OrderConflict", Message: "sets a and b contradict each other"},
		},
	}
}

func asJSON(value any) string {
	GinkgoHelper()
	text, err := json.Marshal(value)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

func statusWritesTable() []TableEntry {
	return []TableEntry{
		Entry("replace of the status", replaceStatus), Entry("JSON patch of the status", jsonPatchStatus),
		Entry("merge patch of the status", mergeStatus), Entry("apply patch of the status", applyStatus),
	}
}

var _ = describe("the status of a set", func() {
	DescribeTable("has what the manager writes", func(w write) {
		r := w.prepare(asJSON(statusOf()))
		r.query += "&fieldValidation=Strict"
		Expect(send(r).expect(http.StatusOK).warnings()).To(BeEmpty())
		set := get(named).set()
		Expect(set.Status).To(Equal(statusOf()))
		Expect(sourcesOf(set)).To(Equal([]string{"old.example.com"}))
	}, statusWritesTable())

	DescribeTable("may be empty, as upstream it always is, and then is that of a set which nobody has looked at", func(w write) {
		r := w.prepare("{}")
		r.query += "&fieldValidation=Strict"
		Expect(send(r).expect(http.StatusOK).warnings()).To(BeEmpty())
		Expect(get(named).set().Status).To(Equal(unseen))
	}, statusWritesTable())

	It("is accepted, and dropped, in a manifest that was exported from OpenShift", func(ctx SpecContext) {
		manifest := setJSON(name, `,"creationTimestamp":null`, `{"$FIELD":[{"source":"s.com","mirrors":["m.com"]}]},"status":{}`)
		for _, flags := range [][]string{nil, {"--server-side", "--force-conflicts"}, {"--validate=strict"}} {
			Expect(kubectlApply(ctx, manifest, flags...)).To(BeEmpty())
			Expect(get(named).set().Status).To(Equal(unseen))
		}
	})

	It("is not emptied by who applies or replaces a manifest with an empty one", func(ctx SpecContext) {
		send(mergeStatus.prepare(asJSON(statusOf()))).expect(http.StatusOK)
		manifest := setJSON(name, "", `{"$FIELD":[{"source":"s.com"}]},"status":{}`)
		Expect(kubectlApply(ctx, manifest)).NotTo(ContainElement(ContainSubstring("status")))
		Expect(kubectlApply(ctx, manifest, "--server-side", "--force-conflicts")).To(BeEmpty())
		set := get(named).set()
		Expect(sourcesOf(set)).To(Equal([]string{"s.com"}))
		Expect(set.Status).To(Equal(statusOf()))
	})

	// Kubernetes 1.30 names what schemas refuse without the "status." before it.
	DescribeTable("is refused with", func(change func(*configv1.MirrorSetStatus), field string) {
		s := statusOf()
		change(&s)
		r := mergeStatus.prepare(asJSON(s))
		unchanged(func() { send(r).refused(http.StatusUnprocessableEntity, field) })
	},
		Entry("more findings than the bound", func(s *configv1.MirrorSetStatus) {
			s.Findings = make([]configv1.Finding, configv1.MaxFindings+1)
			for i := range s.Findings {
				s.Findings[i] = configv1.Finding{Reason: "A", Message: "b"}
			}
		}, "findings: Too many"),
		Entry("a finding without a reason", func(s *configv1.MirrorSetStatus) { s.Findings[0].Reason = "" }, "findings[0].reason: Required"),
		Entry("a finding without a message", func(s *configv1.MirrorSetStatus) { s.Findings[0].Message = "" }, "findings[0].message: Required"),
		Entry("a finding before the first entry", func(s *configv1.MirrorSetStatus) { s.Findings[0].Entry = ptr.To[int32](-1) }, "findings[0].entry"),
		Entry("two conditions of a type", func(s *configv1.MirrorSetStatus) { s.Conditions[1].Type = s.Conditions[0].Type }, "status.conditions[1]: Duplicate"),
		Entry("a negative revision", func(s *configv1.MirrorSetStatus) { s.Revision = -1 }, "revision"),
	)

	It("takes as many findings as the bound says", func() {
		s := statusOf()
		s.Findings = make([]configv1.Finding, configv1.MaxFindings)
		for i := range s.Findings {
			s.Findings[i] = configv1.Finding{Reason: "A", Message: strings.Repeat("ü", 1000), Entry: ptr.To(int32(i))}
		}
		send(mergeStatus.prepare(asJSON(s))).expect(http.StatusOK)
		Expect(get(named).set().Status).To(Equal(s))
	})

	It("lets two managers have a condition each", func() {
		apply := func(manager string, c metav1.Condition) {
			GinkgoHelper()
			s := asJSON(configv1.MirrorSetStatus{Conditions: []metav1.Condition{c}})
			body := strings.ReplaceAll(applyStatus.body, "$VALUE", s)
			patch := request{method: http.MethodPatch, path: status, query: "fieldManager=" + manager, body: body, contentType: applyPatch}
			send(patch).expect(http.StatusOK)
		}
		create(name, "")
		apply("one", statusOf().Conditions[0])
		apply("two", statusOf().Conditions[1])
		Expect(get(named).set().Status.Conditions).To(Equal(statusOf().Conditions))
	})

	It("can be waited for", func(ctx SpecContext) {
		create(name, "")
		s := statusOf()
		waiting := kubectl(ctx, "wait", "--for=condition=Applied", "$SHORT/"+name, "--timeout=30s")
		Expect(waiting.Start()).To(Succeed())
		r := mergeStatus.request
		r.body = strings.ReplaceAll(r.body, "$VALUE", asJSON(s))
		send(r).expect(http.StatusOK)
		s.Conditions[1] = condition(configv1.ConditionApplied, "True", configv1.ReasonAppliedOnAllNodes, "in force on 50 of 50 nodes")
		r.body = strings.ReplaceAll(mergeStatus.body, "$VALUE", asJSON(s))
		send(r).expect(http.StatusOK)
		Expect(waiting.Wait()).To(Succeed())
	})
})

// OpenShift's CRD has a status without fields, which is what this one is made into.
var _ = describe("the status under a CRD whose status has no fields", Ordered, func() {
	const crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/$RESOURCE.config.openshift.io"
	// written is what is left of a status that is written; empty while the API server changes over to another schema.
	written := func() string {
		GinkgoHelper()
		defer send(request{method: http.MethodDelete, path: named})
		send(request{method: http.MethodPost, path: collection, body: setJSON(name, "", "{}")})
		r := mergeStatus.request
		r.body = `{"status":{"revision":7}}`
		if res := send(r); res.status == http.StatusOK {
			return asJSON(res.set().Status)
		}
		return ""
	}
	change := func(patch string) {
		GinkgoHelper()
		send(request{method: http.MethodPatch, path: crd, body: patch, contentType: jsonPatch}).expect(http.StatusOK)
	}
	var original string
	BeforeAll(func() {
		original = asJSON(decode[map[string]any](get(crd).expect(http.StatusOK))["spec"])
		const version = `{"op":"remove","path":"/spec/versions/0/`
		change(`[` + version + `schema/openAPIV3Schema/properties/status/properties"},` + version + `additionalPrinterColumns"}]`)
		Eventually(written).MustPassRepeatedly(5).Should(Equal("{}"))
	})

	AfterAll(func() {
		change(`[{"op":"replace","path":"/spec","value":` + original + `}]`)
		Eventually(written).MustPassRepeatedly(5).Should(Equal(`{"observedGeneration":-1,"revision":7}`))
	})

	DescribeTable("is taken, and pruned", func(w write) {
		r := w.prepare(asJSON(statusOf()))
		res := send(r).expect(http.StatusOK)
		Expect(res.set().Status).To(Equal(configv1.MirrorSetStatus{}))
		Expect(get(named).set().Status).To(Equal(configv1.MirrorSetStatus{}))
	}, statusWritesTable())

	It("does not keep a set from being written", func(ctx SpecContext) {
		Expect(kubectlApply(ctx, setJSON(name, "", `{"$FIELD":[{"source":"s.com"}]}`))).To(BeEmpty())
	})
})

// table is what kubectl get prints, in words.
func table(ctx context.Context, args ...string) [][]string {
	GinkgoHelper()
	out, err := kubectl(ctx, append([]string{"get"}, args...)...).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
	rows := [][]string{}
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Fields(line))
	}
	return rows
}

// beAge matches the last column.
var beAge = MatchRegexp(`^[0-9]+s$`)

var _ = describe("kubectl get", func() {
	It("prints how much a set has and whether it is in force", func(ctx SpecContext) {
		Expect(table(ctx, "$SHORT")).To(Equal([][]string{{"No", "resources", "found"}}))
		send(mergeStatus.prepare(asJSON(statusOf()))).expect(http.StatusOK)
		create("without", "")
		for _, flags := range [][]string{{"$SHORT"}, {"$RESOURCE", "-o", "wide"}} {
			rows := table(ctx, flags...)
			Expect(rows).To(HaveLen(3))
			Expect(rows[0][:6]).To(Equal([]string{"NAME", "SOURCES", "MIRRORS", "ACCEPTED", "APPLIED", "AGE"}))
			Expect(rows[1][:6]).To(HaveExactElements(name, "3", "0", "False", "False", beAge))
			Expect(rows[2]).To(HaveExactElements("without", beAge))
		}
	})
})

const mirrorNodes = "/apis/mirrorset.io/v1alpha1/mirrornodes"

var _ = Describe("the MirrorNode API", func() {
	BeforeEach(func() {
		Eventually(func() int { return get(mirrorNodes).status }).Should(Equal(http.StatusOK))
	})
	AfterEach(func() {
		send(request{method: http.MethodDelete, path: mirrorNodes}).expect(http.StatusOK)
	})
	// createNode makes a node's object, with a status where one is given.
	createNode := func(name, status string) {
		GinkgoHelper()
		body := fmt.Sprintf(`{"apiVersion":"mirrorset.io/v1alpha1","kind":"MirrorNode","metadata":{"name":%q}}`, name)
		send(request{method: http.MethodPost, path: mirrorNodes, query: "fieldValidation=Strict", body: body}).expect(http.StatusCreated)
		if status != "" {
			send(request{
				method: http.MethodPatch, path: mirrorNodes + "/" + name + "/status", query: "fieldValidation=Strict",
				body: `{"status":` + status + `}`, contentType: mergePatch,
			}).expect(http.StatusOK)
		}
	}
	conditions := func(applied, ready metav1.Condition) string {
		return `"conditions":` + asJSON([]metav1.Condition{ready, applied})
	}

	It("is cluster scoped, has a status, and a short name", func() {
		resources := decode[metav1.APIResourceList](get("/apis/mirrorset.io/v1alpha1").expect(http.StatusOK)).APIResources
		Expect(resources).To(HaveLen(2))
		Expect(resources[0].Name).To(Equal("mirrornodes"))
		Expect(resources[0].SingularName).To(Equal("mirrornode"))
		Expect(resources[0].ShortNames).To(Equal([]string{"mn"}))
		Expect(resources[0].Kind).To(Equal("MirrorNode"))
		Expect(resources[0].Namespaced).To(BeFalse())
		Expect(resources[1].Name).To(Equal("mirrornodes/status"))
	})

	It("is printed by kubectl with what is in force, and what is wrong where it is asked for", func(ctx SpecContext) {
		createNode("fresh", "")
		createNode("good", `{"revision":1795572622184,"digest":"sha256:00","appliedAt":"2026-01-02T03:04:05Z","runtimes":["CRI-O","Podman"],`+
			conditions(condition("Applied", "True", "InForce", "all is well"), condition("RuntimeReady", "True", "Ready", "all is ready"))+`}`)
		createNode("halfway", `{"revision":7,"runtimes":["containerd"],`+
			conditions(condition("Applied", "True", "InForce", ""), condition("RuntimeReady", "False", "NotReady", "set config_path"))+`}`)
		createNode("silent", `{"revision":7,"runtimes":["containerd"],`+
			conditions(condition("Applied", "Unknown", "AgentSilent", "no report since noon"), condition("RuntimeReady", "True", "Ready", ""))+`}`)

		rows := table(ctx, "mirrornodes")
		Expect(rows).To(HaveLen(5))
		Expect(rows[0]).To(Equal([]string{"NAME", "RUNTIME", "REVISION", "APPLIED", "AGE"}))
		Expect(rows[1]).To(HaveExactElements("fresh", beAge))
		Expect(rows[2]).To(HaveExactElements("good", "CRI-O", "1795572622184", "True", beAge))
		Expect(rows[3]).To(HaveExactElements("halfway", "containerd", "7", "True", beAge))
		Expect(rows[4]).To(HaveExactElements("silent", "containerd", "7", "Unknown", beAge))

		rows = table(ctx, "mirrornodes", "-o", "wide")
		Expect(rows).To(HaveLen(5))
		Expect(rows[0]).To(Equal([]string{"NAME", "RUNTIME", "REVISION", "APPLIED", "AGE", "MESSAGE"}))
		Expect(rows[2]).To(HaveExactElements("good", "CRI-O", "1795572622184", "True", beAge))
		Expect(rows[3]).To(HaveExactElements("halfway", "containerd", "7", "True", beAge, "set", "config_path"))
		Expect(rows[4]).To(HaveExactElements("silent", "containerd", "7", "Unknown", beAge, "no", "report", "since", "noon"))
	})
})
