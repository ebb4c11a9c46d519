// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// event is one line of a watch.
type event struct {
	Type   string
	Object json.RawMessage
}

func (e event) set() set {
	GinkgoHelper()
	s, err := read(e.Object, false)
	Expect(err).NotTo(HaveOccurred())
	return s
}

// watchAll watches until the server ends it, and returns what came.
func watchAll(query string) []event {
	GinkgoHelper()
	res := get(collection, "watch=true&"+query).expect(http.StatusOK)
	var events []event
	for line := range strings.Lines(string(res.body)) {
		var e event
		Expect(json.Unmarshal([]byte(line), &e)).To(Succeed(), line)
		events = append(events, e)
	}
	return events
}

// version makes resource versions comparable.
func version(resourceVersion string) uint64 {
	GinkgoHelper()
	v, err := strconv.ParseUint(resourceVersion, 10, 64)
	Expect(err).NotTo(HaveOccurred())
	return v
}

// labels are the events as "TYPE name".
func labels(events []event) []string {
	GinkgoHelper()
	all := make([]string, 0, len(events))
	for _, e := range events {
		all = append(all, strings.TrimSpace(e.Type+" "+e.set().Name))
	}
	return all
}

var _ = describe("watching sets", func() {
	It("sends what is there and then what changes, while it changes", func() {
		create("before", "")
		res := open(admin, request{method: http.MethodGet, path: collection, query: "watch=true&timeoutSeconds=30"})
		DeferCleanup(res.Body.Close)
		Expect(res.StatusCode).To(Equal(http.StatusOK))
		stream := json.NewDecoder(res.Body)
		next := func() string {
			GinkgoHelper()
			var e event
			Expect(stream.Decode(&e)).To(Succeed())
			return labels([]event{e})[0]
		}
		Expect(next()).To(Equal("ADDED before"))
		create(name, "")
		Expect(next()).To(Equal("ADDED set"))
		send(request{method: http.MethodPatch, path: named, body: `{"metadata":{"labels":{"a":"b"}}}`, contentType: mergePatch}).expect(http.StatusOK)
		Expect(next()).To(Equal("MODIFIED set"))
		send(request{method: http.MethodPatch, path: status, body: `{"status":{"revision":7}}`, contentType: mergePatch}).expect(http.StatusOK)
		Expect(next()).To(Equal("MODIFIED set"))
		send(request{method: http.MethodDelete, path: named}).expect(http.StatusOK)
		Expect(next()).To(Equal("DELETED set"))
	})

	DescribeTable("ends after timeoutSeconds, with the events", func(query, expected string) {
		create("a", `,"labels":{"tier":"site"}`)
		since := create("b", "").ResourceVersion
		create("c", `,"labels":{"tier":"site"}`)
		send(request{method: http.MethodDelete, path: collection + "/a"}).expect(http.StatusOK)
		catchUp()
		start := time.Now()
		events := watchAll("timeoutSeconds=1&" + strings.ReplaceAll(query, "$SINCE", since))
		Expect(time.Since(start)).To(And(BeNumerically(">", 900*time.Millisecond), BeNumerically("<", 30*time.Second)))
		Expect(strings.Join(labels(events), ", ")).To(Equal(expected))
	},
		Entry("of what is there, without a resource version", "", "ADDED b, ADDED c"),
		Entry("of what is there, for version 0", "resourceVersion=0", "ADDED b, ADDED c"),
		Entry("that follow a resource version", "resourceVersion=$SINCE", "ADDED c, DELETED a"),
		Entry("of a label", "labelSelector=tier%3Dsite&resourceVersion=$SINCE", "ADDED c, DELETED a"),
		Entry("of a name", "fieldSelector=metadata.name%3Dc&resourceVersion=$SINCE", "ADDED c"),
		Entry("none, of a name without any", "fieldSelector=metadata.name%3Dx", ""),
		Entry("without bookmarks, where they are declined", "allowWatchBookmarks=false", "ADDED b, ADDED c"),
	)

	It("sends bookmarks with nothing but the kind and how far the watch has come", func() {
		since := create(name, "").ResourceVersion
		catchUp()
		res := open(admin, request{method: http.MethodGet, path: collection, query: "watch=true&allowWatchBookmarks=true&resourceVersion=0&timeoutSeconds=4"})
		DeferCleanup(res.Body.Close)
		stream := json.NewDecoder(res.Body)
		var e event
		Expect(stream.Decode(&e)).To(Succeed())
		create("other", "") // Kubernetes 1.30 has no bookmark for a watch in which nothing happens
		bookmarks := 0
		for stream.Decode(&e) == nil {
			if e.Type != "BOOKMARK" {
				continue
			}
			bookmarks++
			bookmark := e.set()
			Expect(bookmark.Kind).To(Equal(kind.Name))
			Expect(bookmark.Name).To(BeEmpty())
			Expect(bookmark.Spec.ImageDigestMirrors).To(BeEmpty())
			Expect(version(bookmark.ResourceVersion)).To(BeNumerically(">=", version(since)))
		}
		Expect(bookmarks).To(BeNumerically(">", 0))
	})

	It("says that a resource version is too old", func() {
		events := watchAll("timeoutSeconds=30&resourceVersion=1")
		Expect(events).To(HaveLen(1))
		Expect(events[0].Type).To(Equal("ERROR"))
		var s metav1.Status
		Expect(json.Unmarshal(events[0].Object, &s)).To(Succeed())
		Expect(s.Code).To(BeEquivalentTo(http.StatusGone))
		Expect(s.Reason).To(Equal(metav1.StatusReasonExpired))
	})

	DescribeTable("refuses what only lists have", func(query, says string) {
		get(collection, "watch=true&timeoutSeconds=1", query).refused(http.StatusUnprocessableEntity, says)
	},
		Entry("a match", "resourceVersion=1&resourceVersionMatch=NotOlderThan", "resourceVersionMatch is forbidden for watch"),
	)
})
