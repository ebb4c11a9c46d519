// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// deletion is how a set may be deleted.
type deletion struct {
	query, body string
	finalizer   string // that the set waits for; without one it is gone at once
}

var _ = describe("deleting a set", func() {
	DescribeTable("takes the page's options", func(d deletion) {
		made := create(name, "")
		res := send(request{method: http.MethodDelete, path: named, query: d.query, body: d.body}).expect(http.StatusOK)
		if d.finalizer == "" {
			s := decode[metav1.Status](res)
			Expect(s.Status).To(Equal(metav1.StatusSuccess))
			Expect(s.Details.Name).To(Equal(name))
			Expect(s.Details.UID).To(Equal(made.UID))
			get(named).refused(http.StatusNotFound)
			return
		}
		for _, set := range []response{res, get(named)} { // no garbage collector runs here
			Expect(set.set().DeletionTimestamp).NotTo(BeNil())
			Expect(set.set().Finalizers).To(Equal([]string{d.finalizer}))
		}
		send(request{method: http.MethodPatch, path: named, contentType: mergePatch, body: `{"metadata":{"finalizers":null}}`}).expect(http.StatusOK)
		get(named).refused(http.StatusNotFound)
	},
		Entry("none", deletion{}),
		Entry("propagationPolicy Background", deletion{query: "propagationPolicy=Background"}),
		Entry("propagationPolicy Foreground", deletion{query: "propagationPolicy=Foreground", finalizer: "foregroundDeletion"}),
		Entry("propagationPolicy Orphan", deletion{query: "propagationPolicy=Orphan", finalizer: "orphan"}),
		Entry("orphanDependents true", deletion{query: "orphanDependents=true", finalizer: "orphan"}),
		Entry("orphanDependents false", deletion{query: "orphanDependents=false"}),
		Entry("gracePeriodSeconds 0", deletion{query: "gracePeriodSeconds=0"}),
		Entry("gracePeriodSeconds 600, of which sets have none", deletion{query: "gracePeriodSeconds=600"}),
		Entry("a body: propagationPolicy Background", deletion{body: options(`"propagationPolicy":"Background"`)}),
		Entry("a body: propagationPolicy Foreground", deletion{body: options(`"propagationPolicy":"Foreground"`), finalizer: "foregroundDeletion"}),
		Entry("a body: gracePeriodSeconds", deletion{body: options(`"gracePeriodSeconds":0`)}),
	)

	DescribeTable("may be tried dry", func(d deletion) {
		create(name, "")
		before := get(named).body
		res := send(request{method: http.MethodDelete, path: named, query: d.query, body: d.body}).expect(http.StatusOK)
		if d.finalizer == "" {
			Expect(decode[metav1.Status](res).Status).To(Equal(metav1.StatusSuccess))
		}
		Expect(get(named).expect(http.StatusOK).body).To(Equal(before))
	},
		Entry("by the query", deletion{query: "dryRun=All"}),
		Entry("by the body", deletion{body: options(`"dryRun":["All"]`)}),
		Entry("with a grace period", deletion{query: "dryRun=All&gracePeriodSeconds=0"}),
		Entry("in the foreground", deletion{query: "dryRun=All&propagationPolicy=Foreground", finalizer: "foregroundDeletion"}),
	)

	DescribeTable("is held to the body's preconditions", func(condition, says string) {
		create(name, "")
		send(request{method: http.MethodDelete, path: named, body: options(`"preconditions":` + condition)}).refused(http.StatusConflict, says)
		get(named).expect(http.StatusOK)
	},
		Entry("another uid", `{"uid":"other"}`, "UID in the precondition"),
		Entry("another resource version", `{"resourceVersion":"1"}`, "ResourceVersion in the precondition"),
	)

	It("finds no set that does not exist", func() {
		send(request{method: http.MethodDelete, path: named}).refused(http.StatusNotFound, `"set" not found`)
	})
})

// options is a body of a deletion.
func options(fields string) string {
	return `{"apiVersion":"v1","kind":"DeleteOptions",` + fields + `}`
}

var _ = describe("deleting the collection", func() {
	DescribeTable("deletes what the page's parameters select, and returns it", func(query, deleted, left string) {
		for _, n := range []string{"a", "b", "c"} {
			create(n, `,"labels":{"has":"`+n+`"}`)
		}
		catchUp() // with watch=true the server deletes what its cache has
		list := send(request{method: http.MethodDelete, path: collection, query: query}).list()
		Expect(namesOf(list.Items)).To(Equal(strings.Fields(deleted)))
		Expect(namesOf(get(collection).list().Items)).To(Equal(strings.Fields(left)))
	},
		Entry("all", "", "a b c", ""),
		Entry("by label", "labelSelector=has%3Db", "b", "a c"),
		Entry("by some labels", "labelSelector=!nothing,has%20notin%20(c)", "a b", "c"),
		Entry("none by label", "labelSelector=has%3Dx", "", "a b c"),
		Entry("by name", "fieldSelector=metadata.name%3Dc", "c", "a b"),
		Entry("the first", "limit=1", "a", "b c"),
		Entry("all within the timeout", "timeoutSeconds=30", "a b c", ""),
		Entry("all, where a watch and bookmarks are asked for", "watch=true&allowWatchBookmarks=true", "a b c", ""),
	)

	It("goes on where a limit stopped it", func() {
		for _, n := range []string{"a", "b", "c"} {
			create(n, "")
		}
		first := send(request{method: http.MethodDelete, path: collection, query: "limit=2"}).list()
		Expect(namesOf(first.Items)).To(Equal([]string{"a", "b"}))
		second := send(request{method: http.MethodDelete, path: collection, query: "limit=2&continue=" + first.Continue}).list()
		Expect(namesOf(second.Items)).To(Equal([]string{"c"}))
		Expect(get(collection).list().Items).To(BeEmpty())
	})

	It("may be tried dry", func() {
		create(name, "")
		before := get(named).body
		dry := send(request{method: http.MethodDelete, path: collection, query: "dryRun=All"}).list()
		Expect(namesOf(dry.Items)).To(Equal([]string{name}))
		Expect(get(named).expect(http.StatusOK).body).To(Equal(before))
	})

	It("takes a resource version for one that each set must have", func() {
		create("a", "")
		newest := create("b", "").ResourceVersion
		query := "fieldSelector=metadata.name%3Da&resourceVersionMatch=NotOlderThan&resourceVersion=" + newest
		send(request{method: http.MethodDelete, path: collection, query: query}).
			refused(http.StatusConflict, "the ResourceVersion in the precondition")
		query = "fieldSelector=metadata.name%3Db&resourceVersionMatch=Exact&resourceVersion=" + newest
		Expect(namesOf(send(request{method: http.MethodDelete, path: collection, query: query}).list().Items)).To(Equal([]string{"b"}))
		Expect(namesOf(get(collection).list().Items)).To(Equal([]string{"a"}))
	})

	It("refuses a match without a resource version, and deletes nothing", func() {
		create(name, "")
		send(request{method: http.MethodDelete, path: collection, query: "resourceVersionMatch=Exact"}).
			refused(http.StatusUnprocessableEntity, "resourceVersionMatch: Forbidden")
		get(named).expect(http.StatusOK)
	})
})
