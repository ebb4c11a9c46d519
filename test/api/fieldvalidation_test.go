// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// faulty is a value with an unknown field and one that is there twice.
func (w write) faulty() (value string, faults []string) {
	if w.ofStatus() {
		return `{"revision":7,"unknown":1,"twice":1,"twice":2}`, []string{`unknown field "status.unknown"`, `duplicate field "status.twice"`}
	}
	return `{"unknown":1,"$FIELD":[{"source":"first.com","extra":1,"source":"new.example.com"}]}`,
		[]string{`unknown field "spec.unknown"`, `unknown field "spec.$FIELD[0].extra"`, `duplicate field "spec.$FIELD[0].source"`}
}

// The writes but for apply patches, which are another matter (see below).
func updatesTable() []TableEntry {
	return []TableEntry{
		Entry("create", createSet), Entry("replace", replaceSet), Entry("JSON patch", jsonPatchSet), Entry("merge patch", mergeSet),
		Entry("replace of the status", replaceStatus), Entry("JSON patch of the status", jsonPatchStatus), Entry("merge patch of the status", mergeStatus),
	}
}

var _ = describe("field validation", func() {
	DescribeTable("drops what is unknown and keeps the last of what is there twice: Ignore, Warn, and by default", func(w write) {
		for _, mode := range []string{"&fieldValidation=Ignore", "&fieldValidation=Warn", ""} {
			value, faults := w.faulty()
			r := w.prepare(value)
			r.query += mode
			res := send(r).expect(w.code)
			w.shows(res) // decoding it refuses unknown fields
			w.shows(get(named))
			if mode == "&fieldValidation=Ignore" {
				Expect(res.warnings()).To(BeEmpty())
			} else {
				Expect(res.warnings()).To(ContainElements(fillAll(faults)), r.String())
			}
			send(request{method: http.MethodDelete, path: named}).expect(http.StatusOK)
		}
	}, updatesTable())

	DescribeTable("refuses all of it and stores nothing: Strict", func(w write) {
		value, faults := w.faulty()
		r := w.prepare(value)
		r.query += "&fieldValidation=Strict"
		code := http.StatusBadRequest
		if r.method == http.MethodPatch {
			code = http.StatusUnprocessableEntity
		}
		unchanged(func() { send(r).refused(code, append(faults, "strict decoding error")...) })
	}, updatesTable())

	DescribeTable("warns of no field that the page has", func(mode string) {
		body := setJSON(name, "", `{"$FIELD":[{"source":"a.com","mirrors":["b.com"],"mirrorSourcePolicy":"AllowContactingSource"}]},"status":{}`)
		res := send(request{method: http.MethodPost, path: collection, query: "fieldValidation=" + mode, body: body}).expect(http.StatusCreated)
		Expect(res.warnings()).To(BeEmpty())
	}, Entry("Warn", "Warn"), Entry("Strict", "Strict"))

	DescribeTable("of apply patches tells what is there twice", func(w write) {
		value, twice := `{"$FIELD":[{"source":"first.com","source":"new.example.com"}]}`, "source"
		if w.ofStatus() {
			value, twice = `{"revision":1,"revision":2}`, "revision"
		}
		r := w.prepare(value)
		query := r.query
		r.query = query + "&fieldValidation=Strict"
		unchanged(func() { send(r).refused(http.StatusBadRequest, `key "`+twice+`" already set`) })
		r.query = query + "&fieldValidation=Warn"
		res := send(r).expect(w.code)
		w.shows(res)
		Expect(res.warnings()).To(ConsistOf(ContainSubstring(`key "` + twice + `" already set`)))
		r.query = query + "&fieldValidation=Ignore"
		Expect(send(r).expect(http.StatusOK).warnings()).To(BeEmpty())
	}, Entry("that create", applyNew), Entry("of a set", applySet), Entry("of the status", applyStatus))

	DescribeTable("of apply patches refuses unknown fields in every mode", func(w write, field string) {
		r := w.prepare(`{"unknown":1}`)
		query := r.query
		for _, mode := range []string{"Ignore", "Warn", "Strict"} {
			r.query = query + "&fieldValidation=" + mode
			unchanged(func() { send(r).refused(http.StatusInternalServerError, field+": field not declared in schema") })
		}
	}, Entry("of a set", applySet, ".spec.unknown"), Entry("of the status", applyStatus, ".status.unknown"))
})
