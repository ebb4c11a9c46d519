// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

var _ = describe("reading a set", func() {
	DescribeTable("returns what was created", func(query string) {
		made := create(name, `,"labels":{"tier":"site"},"annotations":{"why":"test"}`)
		catchUp()
		read := get(named, query).expect(http.StatusOK).set()
		Expect(read).To(Equal(made))
		Expect(read.Labels).To(HaveKeyWithValue("tier", "site"))
		Expect(read.Annotations).To(HaveKeyWithValue("why", "test"))
		Expect(read.Generation).To(BeEquivalentTo(1))
		Expect(read.Spec).To(Equal(configv1.ImageDigestMirrorSetSpec{ImageDigestMirrors: []configv1.ImageDigestMirrors{
			{Source: "old.example.com", Mirrors: []configv1.ImageMirror{"m.example.com"}},
		}}))
	},
		Entry("as it is now", ""),
		Entry("as any cache has it", "resourceVersion=0"),
	)

	It("waits for the resource version asked for", func() {
		made := create(name, "")
		Expect(get(named, "resourceVersion="+made.ResourceVersion).expect(http.StatusOK).set()).To(Equal(made))
		Expect(get(status, "resourceVersion="+made.ResourceVersion).expect(http.StatusOK).set()).To(Equal(made))
	})

	It("refuses a resource version that is not there yet", func() {
		create(name, "")
		get(named, "resourceVersion=99999999").refused(http.StatusGatewayTimeout, "Too large resource version")
	})

	DescribeTable("finds no set that does not exist", func(path string) {
		get(path).refused(http.StatusNotFound, `"set" not found`)
	},
		Entry("the set", named),
		Entry("its status", status),
	)
})

var _ = describe("listing sets", func() {
	BeforeEach(func() {
		for i, tier := range []string{"site", "site", "global", "global", "global", "none", "none"} {
			create(fmt.Sprintf("set-%d", i), `,"labels":{"tier":"`+tier+`"}`)
		}
	})

	DescribeTable("returns them a page at a time, each once, in order", func(limit, pages int) {
		var names []string
		token, asked := "", 0
		for more := true; more; more = token != "" {
			page := get(collection, fmt.Sprintf("limit=%d", limit), "continue="+url.QueryEscape(token)).list()
			Expect(len(page.Items)).To(BeNumerically("<=", limit))
			names, token = append(names, namesOf(page.Items)...), page.Continue
			asked++
			if token != "" {
				Expect(*page.RemainingItemCount).To(BeEquivalentTo(7 - len(names)))
			}
		}
		Expect(names).To(Equal([]string{"set-0", "set-1", "set-2", "set-3", "set-4", "set-5", "set-6"}))
		Expect(asked).To(Equal(pages))
	},
		Entry("one", 1, 7), Entry("several", 3, 3), Entry("all but one", 6, 2), Entry("exactly all", 7, 1), Entry("more than all", 100, 1),
	)

	It("pages through the snapshot of the first page, whatever changes meanwhile", func() {
		first := get(collection, "limit=3").list()
		send(request{method: http.MethodDelete, path: collection + "/set-5"}).expect(http.StatusOK)
		create("set-3a", "")
		rest := get(collection, "limit=100", "continue="+url.QueryEscape(first.Continue)).list()
		Expect(namesOf(rest.Items)).To(Equal([]string{"set-3", "set-4", "set-5", "set-6"}))
		Expect(rest.ResourceVersion).To(Equal(first.ResourceVersion))
	})

	DescribeTable("selects", func(query, names string) {
		Expect(namesOf(get(collection, query).list().Items)).To(Equal(strings.Fields(names)))
	},
		Entry("by label", "labelSelector=tier%3Dsite", "set-0 set-1"),
		Entry("by the lack of a label's value", "labelSelector=tier%21%3Dglobal", "set-0 set-1 set-5 set-6"),
		Entry("by some of a label's values", "labelSelector=tier%20in%20(site,none)", "set-0 set-1 set-5 set-6"),
		Entry("by the name", "fieldSelector=metadata.name%3Dset-3", "set-3"),
		Entry("by all other names", "fieldSelector=metadata.name%21%3Dset-3", "set-0 set-1 set-2 set-4 set-5 set-6"),
		Entry("by name and label", "fieldSelector=metadata.name%3Dset-3&labelSelector=tier%3Dglobal", "set-3"),
		Entry("none by name and another label", "fieldSelector=metadata.name%3Dset-3&labelSelector=tier%3Dsite", ""),
		Entry("by label, a page", "labelSelector=tier%3Dglobal&limit=2", "set-2 set-3"),
		Entry("all within the timeout", "timeoutSeconds=30&labelSelector=tier%3Dsite", "set-0 set-1"),
		Entry("all, where a bookmark is asked for without a watch", "allowWatchBookmarks=true&labelSelector=tier%3Dsite", "set-0 set-1"),
	)

	DescribeTable("reads exactly a resource version", func(query string) {
		then := get(collection).list().ResourceVersion
		create("set-7", "")
		list := get(collection, "resourceVersionMatch=Exact", query, "resourceVersion="+then).list()
		Expect(namesOf(list.Items)).To(HaveLen(7))
		Expect(namesOf(list.Items)).NotTo(ContainElement("set-7"))
		Expect(list.ResourceVersion).To(Equal(then))
	},
		Entry("in one go", ""),
		Entry("in a page", "limit=100"),
	)

	It("reads not older than a resource version", func() {
		newest := create("set-7", "").ResourceVersion
		for _, query := range []string{"resourceVersionMatch=NotOlderThan&resourceVersion=" + newest, "resourceVersion=" + newest} {
			Expect(namesOf(get(collection, query).list().Items)).To(ContainElement("set-7"))
		}
		catchUp()
		Expect(namesOf(get(collection, "resourceVersion=0&resourceVersionMatch=NotOlderThan").list().Items)).To(ContainElement("set-0"))
	})

	DescribeTable("refuses a match", func(query, says string) {
		get(collection, query).refused(http.StatusUnprocessableEntity, "resourceVersionMatch: Forbidden", says)
	},
		Entry("Exact without a resource version", "resourceVersionMatch=Exact", "unless resourceVersion is provided"),
		Entry("NotOlderThan without a resource version", "resourceVersionMatch=NotOlderThan", "unless resourceVersion is provided"),
		Entry("Exact with any version", "resourceVersion=0&resourceVersionMatch=Exact", `forbidden for resourceVersion "0"`),
	)
})
