// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// patched patches the set.
func patched(contentType, query, body string) response {
	GinkgoHelper()
	return send(request{method: http.MethodPatch, path: named, query: query, body: body, contentType: contentType})
}

var _ = describe("patching a set", func() {
	BeforeEach(func() {
		create(name, `,"labels":{"a":"1","b":"2"}`)
	})

	DescribeTable("changes what the patch says, and keeps the rest", func(contentType, body string, sources []string, labels map[string]string) {
		set := patched(contentType, "", body).expect(http.StatusOK).set()
		Expect(sourcesOf(set)).To(Equal(sources))
		Expect(set.Labels).To(Equal(labels))
		Expect(get(named).set()).To(Equal(set))
	},
		Entry("JSON patch: add to the list", jsonPatch, `[{"op":"add","path":"/spec/$FIELD/-","value":{"source":"b.com"}}]`, []string{"old.example.com", "b.com"}, map[string]string{"a": "1", "b": "2"}),
		Entry("JSON patch: add in front of the list", jsonPatch, `[{"op":"add","path":"/spec/$FIELD/0","value":{"source":"b.com"}}]`, []string{"b.com", "old.example.com"}, map[string]string{"a": "1", "b": "2"}),
		Entry("JSON patch: replace", jsonPatch, `[{"op":"replace","path":"/spec/$FIELD/0/source","value":"b.com"}]`, []string{"b.com"}, map[string]string{"a": "1", "b": "2"}),
		Entry("JSON patch: remove", jsonPatch, `[{"op":"remove","path":"/spec/$FIELD"},{"op":"remove","path":"/metadata/labels/a"}]`, []string{}, map[string]string{"b": "2"}),
		Entry("JSON patch: test and move", jsonPatch, `[{"op":"test","path":"/metadata/labels/a","value":"1"},{"op":"move","from":"/metadata/labels/a","path":"/metadata/labels/c"}]`, []string{"old.example.com"}, map[string]string{"b": "2", "c": "1"}),
		Entry("merge patch: lists are replaced", mergePatch, `{"spec":{"$FIELD":[{"source":"b.com"}]}}`, []string{"b.com"}, map[string]string{"a": "1", "b": "2"}),
		Entry("merge patch: maps are merged, null removes", mergePatch, `{"metadata":{"labels":{"a":null,"c":"3"}}}`, []string{"old.example.com"}, map[string]string{"b": "2", "c": "3"}),
		Entry("merge patch: nothing", mergePatch, `{}`, []string{"old.example.com"}, map[string]string{"a": "1", "b": "2"}),
	)

	DescribeTable("refuses, and stores nothing", func(contentType, query, body string, code int, says string) {
		unchanged(func() { patched(contentType, query, body).refused(code, says) })
	},
		Entry("a JSON patch whose test fails", jsonPatch, "", `[{"op":"test","path":"/metadata/labels/a","value":"2"},{"op":"remove","path":"/spec/$FIELD"}]`, 422, "the server rejected our request"),
		Entry("a JSON patch of nothing", jsonPatch, "", `[{"op":"remove","path":"/spec/other"}]`, 422, "the server rejected our request"),
		Entry("a JSON patch that is none", jsonPatch, "", `{}`, 400, "error decoding patch"),
		Entry("a JSON patch that removes the spec", jsonPatch, "", `[{"op":"remove","path":"/spec"}]`, 422, "spec: Required value"),
		Entry("a merge patch that removes the spec", mergePatch, "", `{"spec":null}`, 422, "spec: Required value"),
		Entry("a merge patch that is none", mergePatch, "", `[]`, 400, "error decoding patch"),
		Entry("a merge patch of another resource version", mergePatch, "", `{"metadata":{"resourceVersion":"1"}}`, 409, "the object has been modified"),
		Entry("a merge patch of the name", mergePatch, "", `{"metadata":{"name":"other"}}`, 400, "does not match the name on the URL"),
		Entry("a strategic merge patch, which sets do not have", "application/strategic-merge-patch+json", "", `{}`, 415, "accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"),
		Entry("an apply patch without a field manager", applyPatch, "", setJSON(name, "", "{}"), 422, "fieldManager: Required value"),
		Entry("an apply patch without a kind", applyPatch, "fieldManager=x", `{"metadata":{"name":"set"}}`, 400, "invalid object type"),
		Entry("force in a merge patch", mergePatch, "force=true", `{}`, 422, "force: Forbidden"),
	)

	It("finds no set that does not exist, but by an apply patch", func() {
		send(request{method: http.MethodDelete, path: named}).expect(http.StatusOK)
		patched(mergePatch, "", `{}`).refused(http.StatusNotFound, `"set" not found`)
		patched(jsonPatch, "", `[]`).refused(http.StatusNotFound, `"set" not found`)
		patched(applyPatch, "fieldManager=x", setJSON(name, "", "{}")).expect(http.StatusCreated)
	})
})

var _ = describe("applying a set", func() {
	apply := func(manager, force, spec string) response {
		GinkgoHelper()
		return patched(applyPatch, "fieldManager="+manager+"&force="+force, setJSON(name, "", spec))
	}
	const (
		first  = `{"$FIELD":[{"source":"first.com"}]}`
		second = `{"$FIELD":[{"source":"second.com"}]}`
	)

	It("is a conflict where another manager has another value, unless forced", func() {
		apply("one", "false", first).expect(http.StatusCreated)
		unchanged(func() {
			res := apply("two", "false", second)
			res.refused(http.StatusConflict, `conflict with "one": .spec.$FIELD`)
			Expect(decode[metav1.Status](res).Details.Causes).To(ConsistOf(HaveField("Field", fill(".spec.$FIELD"))))
		})
		forced := apply("two", "true", second).expect(http.StatusOK).set()
		Expect(sourcesOf(forced)).To(Equal([]string{"second.com"}))
		apply("one", "false", first).refused(http.StatusConflict, `conflict with "two"`)
	})

	It("shares a value that managers agree on, and removes what none names any more", func() {
		apply("one", "false", first).expect(http.StatusCreated)
		Expect(apply("two", "false", first).expect(http.StatusOK).set().ManagedFields).To(HaveLen(2))
		Expect(sourcesOf(apply("one", "false", "{}").expect(http.StatusOK).set())).To(Equal([]string{"first.com"}))
		// The server makes null of a spec that loses all its fields, and then finds that it is not an object.
		apply("two", "false", "{}").refused(http.StatusUnprocessableEntity, `spec: Invalid value: "null"`)
		Expect(sourcesOf(apply("two", "false", `{"$FIELD":[]}`).expect(http.StatusOK).set())).To(BeEmpty())
	})

	It("is a conflict with a manager that updated", func() {
		create(name, "")
		patched(mergePatch, "fieldManager=updater", `{"spec":`+first+`}`).expect(http.StatusOK)
		apply("one", "false", second).refused(http.StatusConflict, `conflict with "updater"`)
	})

	It("takes YAML, as the type says", func() {
		res := patched(applyPatch, "fieldManager=one", "apiVersion: config.openshift.io/v1\nkind: $KIND\nmetadata: {name: set}\nspec:\n  $FIELD:\n  - source: yaml.com\n")
		Expect(sourcesOf(res.expect(http.StatusCreated).set())).To(Equal([]string{"yaml.com"}))
	})
})
