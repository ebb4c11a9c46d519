// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// write is one way to change a set or its status. In the body, $RV stands for the resource version, and $VALUE for what
// is written: a spec or a status.
type write struct {
	request
	code      int
	operation metav1.ManagedFieldsOperationType
	creates   bool
}

// The writes of the page. They name a field manager, which apply patches must.
var (
	createSet = write{request: request{method: http.MethodPost, path: collection, body: setJSON(name, "", "$VALUE")}, code: 201, operation: metav1.ManagedFieldsOperationUpdate, creates: true}
	applyNew  = write{request: request{method: http.MethodPatch, path: named, body: setJSON(name, "", "$VALUE"), contentType: applyPatch}, code: 201, operation: metav1.ManagedFieldsOperationApply, creates: true}

	replaceSet   = update(http.MethodPut, named, "", setJSON(name, `,"resourceVersion":"$RV"`, "$VALUE"))
	jsonPatchSet = update(http.MethodPatch, named, jsonPatch, `[{"op":"replace","path":"/spec","value":$VALUE}]`)
	mergeSet     = update(http.MethodPatch, named, mergePatch, `{"spec":$VALUE}`)
	applySet     = update(http.MethodPatch, named, applyPatch, setJSON(name, "", "$VALUE"))

	replaceStatus   = update(http.MethodPut, status, "", setJSON(name, `,"resourceVersion":"$RV"`, `{},"status":$VALUE`))
	jsonPatchStatus = update(http.MethodPatch, status, jsonPatch, `[{"op":"add","path":"/status","value":$VALUE}]`)
	mergeStatus     = update(http.MethodPatch, status, mergePatch, `{"status":$VALUE}`)
	applyStatus     = update(http.MethodPatch, status, applyPatch, `{"apiVersion":"config.openshift.io/v1","kind":"$KIND","metadata":{"name":"set"},"status":$VALUE}`)
)

func update(method, path, contentType, body string) write {
	w := write{request: request{method: method, path: path, body: body, contentType: contentType}, code: 200, operation: metav1.ManagedFieldsOperationUpdate}
	if contentType == applyPatch {
		w.operation = metav1.ManagedFieldsOperationApply
	}
	return w
}

func writesTable() []TableEntry {
	return []TableEntry{
		Entry("create", createSet), Entry("apply patch that creates", applyNew),
		Entry("replace", replaceSet), Entry("JSON patch", jsonPatchSet), Entry("merge patch", mergeSet), Entry("apply patch", applySet),
		Entry("replace of the status", replaceStatus), Entry("JSON patch of the status", jsonPatchStatus),
		Entry("merge patch of the status", mergeStatus), Entry("apply patch of the status", applyStatus),
	}
}

func (w write) ofStatus() bool { return w.path == status }

// prepare makes the set that is written to, and fills in the body.
func (w write) prepare(value string) request {
	GinkgoHelper()
	r := w.request
	if !w.creates {
		r.body = strings.ReplaceAll(r.body, "$RV", create(name, "").ResourceVersion)
	}
	r.body = strings.ReplaceAll(r.body, "$VALUE", value)
	r.query = "fieldManager=tester&force=true"
	if w.operation != metav1.ManagedFieldsOperationApply {
		r.query = "fieldManager=tester"
	}
	return r
}

// value is a valid change of what is written.
func (w write) value() string {
	if w.ofStatus() {
		return `{"revision":7}`
	}
	return newSpec
}

// unseen is the status of a set that no manager has looked at.
var unseen = configv1.MirrorSetStatus{ObservedGeneration: -1}

// shows fails the spec unless the response has the change, and nothing of the other half of the set is changed.
func (w write) shows(r response) {
	GinkgoHelper()
	set := r.set()
	if w.ofStatus() {
		Expect(set.Status).NotTo(Equal(unseen))
		Expect(sourcesOf(set)).To(Equal([]string{"old.example.com"}))
		return
	}
	Expect(set.Status).To(Equal(unseen))
	Expect(sourcesOf(set)).To(Equal([]string{"new.example.com"}))
}

// unchanged runs what must not change the set.
func unchanged(act func()) {
	GinkgoHelper()
	before := get(named).body // or that there is none
	act()
	Expect(string(get(named).body)).To(Equal(string(before)))
}

var _ = describe("writing a set", func() {
	DescribeTable("stores the change, and who made it", func(w write) {
		res := send(w.prepare(w.value())).expect(w.code)
		w.shows(res)
		w.shows(get(named))
		Expect(get(named).set()).To(Equal(res.set()))
	}, writesTable())

	DescribeTable("stores nothing with dryRun=All", func(w write) {
		r := w.prepare(w.value())
		r.query += "&dryRun=All"
		unchanged(func() { w.shows(send(r).expect(w.code)) })
	}, writesTable())

	DescribeTable("records the fieldManager", func(w write) {
		for _, manager := range []string{"tester", strings.Repeat("m", 128)} {
			r := w.prepare(w.value())
			r.query = strings.ReplaceAll(r.query, "tester", manager)
			subresource := ""
			if w.ofStatus() {
				subresource = "status"
			}
			Expect(send(r).expect(w.code).set().ManagedFields).To(ContainElement(And(
				HaveField("Manager", manager), HaveField("Operation", w.operation), HaveField("Subresource", subresource),
			)))
			send(request{method: http.MethodDelete, path: named}).expect(http.StatusOK)
		}
	}, writesTable())

	DescribeTable("refuses values of another type, and stores nothing", func(w write) {
		r := w.prepare(`"text"`)
		code, text := http.StatusUnprocessableEntity, "spec: "
		if w.ofStatus() { // for which Kubernetes 1.30 names no field
			text = "in body must be of type object"
		}
		if w.operation == metav1.ManagedFieldsOperationApply { // refused before validation, and not as the client's error
			code = http.StatusInternalServerError
			if w.ofStatus() {
				text = "status: "
			}
		}
		unchanged(func() { send(r).refused(code, text) })
	}, writesTable())
})

var _ = describe("replacing", func() {
	DescribeTable("takes the newest resource version only", func(w write) {
		r := w.prepare(w.value())
		send(request{method: http.MethodPatch, path: named, body: `{"metadata":{"labels":{"a":"b"}}}`, contentType: mergePatch}).expect(http.StatusOK)
		unchanged(func() { send(r).refused(http.StatusConflict, "the object has been modified") })
		r.body = strings.Replace(r.body, `"resourceVersion"`, `"generateName"`, 1)
		unchanged(func() {
			send(r).refused(http.StatusUnprocessableEntity, "metadata.resourceVersion: Invalid value", "must be specified for an update")
		})
	}, Entry("a set", replaceSet), Entry("a status", replaceStatus))

	DescribeTable("takes the name of the path only, and a set that exists", func(w write) {
		r := w.prepare(w.value())
		r.body = strings.Replace(r.body, `"name":"set"`, `"name":"other"`, 1)
		unchanged(func() { send(r).refused(http.StatusBadRequest, "does not match the name on the URL") })
		r.path = strings.Replace(w.path, "/"+name, "/other", 1)
		send(r).refused(http.StatusNotFound, `"other" not found`) // the page has 201, but sets are not created so
	}, Entry("a set", replaceSet), Entry("a status", replaceStatus))

	It("creates no set twice", func() {
		create(name, "")
		unchanged(func() {
			send(request{method: http.MethodPost, path: collection, body: setJSON(name, "", "{}")}).refused(http.StatusConflict, `"set" already exists`)
		})
	})

	It("makes up a name behind generateName", func() {
		body := strings.Replace(setJSON("set-", "", "{}"), `"name"`, `"generateName"`, 1)
		made := send(request{method: http.MethodPost, path: collection, body: body}).expect(http.StatusCreated).set()
		Expect(made.Name).To(MatchRegexp(`^set-[a-z0-9]+$`))
	})
})

var _ = describe("the status and the rest of a set", func() {
	DescribeTable("do not change through each other", func(w write) {
		create(name, "")
		send(request{method: http.MethodPatch, path: status, body: `{"status":{}}`, contentType: mergePatch}).expect(http.StatusOK)
		before := get(status).expect(http.StatusOK)
		Expect(before.has("status")).To(BeTrue())
		r := w.request
		r.query = "fieldManager=tester&force=true&fieldValidation=Ignore"
		if w.operation != metav1.ManagedFieldsOperationApply {
			r.query = "fieldManager=tester"
		}
		r.body = strings.ReplaceAll(r.body, "$RV", before.set().ResourceVersion)
		send(r).expect(http.StatusOK)
		after := get(named)
		Expect(after.has("status")).To(BeTrue())
		Expect(after.set().Spec).To(Equal(before.set().Spec))
		Expect(after.set().Generation).To(Equal(before.set().Generation))
		Expect(after.set().Labels).To(BeEmpty())
	},
		Entry("replace of the status", update(http.MethodPut, status, "", setJSON(name, `,"labels":{"a":"b"},"resourceVersion":"$RV"`, newSpec+`,"status":{}`))),
		Entry("merge patch of the status", update(http.MethodPatch, status, mergePatch, `{"metadata":{"labels":{"a":"b"}},"spec":`+newSpec+`,"status":{}}`)),
		Entry("JSON patch of the status", update(http.MethodPatch, status, jsonPatch, `[{"op":"replace","path":"/spec","value":`+newSpec+`}]`)),
		Entry("apply patch of the status", update(http.MethodPatch, status, applyPatch, setJSON(name, "", newSpec+`,"status":{}`))),
		Entry("merge patch of the set", update(http.MethodPatch, named, mergePatch, `{"status":null}`)),
		Entry("JSON patch of the set", update(http.MethodPatch, named, jsonPatch, `[{"op":"remove","path":"/status"}]`)),
		Entry("replace of the set", update(http.MethodPut, named, "", setJSON(name, `,"resourceVersion":"$RV"`, `{"$FIELD":[{"source":"old.example.com","mirrors":["m.example.com"]}]}`))),
	)

	It("drops the status of a set that is created", func() {
		send(request{method: http.MethodPost, path: collection, body: setJSON(name, "", `{},"status":{}`)}).expect(http.StatusCreated)
		Expect(get(named).set().Status).To(Equal(unseen))
	})

	It("counts generations of the spec alone", func() {
		w := mergeSet.prepare(mergeSet.value())
		Expect(send(w).expect(http.StatusOK).set().Generation).To(BeEquivalentTo(2))
		w = mergeStatus.request
		w.body = `{"status":{}}`
		Expect(send(w).expect(http.StatusOK).set().Generation).To(BeEquivalentTo(2))
	})
})

const newSpec = `{"$FIELD":[{"source":"new.example.com"}]}`
