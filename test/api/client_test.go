// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// The endpoints of the page, for the set that most specs are about.
const (
	collection = "/apis/config.openshift.io/v1/$RESOURCE"
	named      = collection + "/" + name
	status     = named + "/status"

	name = "set"
)

// The types of bodies.
const (
	plainJSON  = "application/json"
	jsonPatch  = "application/json-patch+json"
	mergePatch = "application/merge-patch+json"
	applyPatch = "application/apply-patch+yaml"
)

// request is one request, as the page writes it.
type request struct {
	method, path string
	query        string // literally
	body         string
	contentType  string // of the body; plainJSON unless given
}

// String is for messages.
func (r request) String() string {
	return fmt.Sprintf("%s %s?%s %s %s", r.method, r.path, r.query, r.contentType, r.body)
}

// response is what came back.
type response struct {
	to     request
	status int
	header http.Header
	body   []byte
}

// open sends a request and returns the response with its body unread.
func open(client *http.Client, r request) *http.Response {
	GinkgoHelper()
	req, err := http.NewRequestWithContext(GinkgoT().Context(), r.method, host+fill(r.path)+"?"+r.query, strings.NewReader(fill(r.body)))
	Expect(err).NotTo(HaveOccurred())
	if r.contentType == "" {
		r.contentType = plainJSON
	}
	req.Header.Set("Content-Type", r.contentType)
	res, err := client.Do(req)
	Expect(err).NotTo(HaveOccurred(), r.String())
	return res
}

// sendAs sends a request and reads the response to its end.
func sendAs(client *http.Client, r request) response {
	GinkgoHelper()
	res := open(client, r)
	body, err := io.ReadAll(res.Body)
	Expect(err).NotTo(HaveOccurred(), r.String())
	Expect(res.Body.Close()).To(Succeed())
	return response{to: r, status: res.StatusCode, header: res.Header, body: body}
}

func send(r request) response {
	GinkgoHelper()
	return sendAs(admin, r)
}

// get reads a path, with a query where one is given.
func get(path string, query ...string) response {
	GinkgoHelper()
	return send(request{method: http.MethodGet, path: path, query: strings.Join(query, "&")})
}

// expect fails the spec unless the response has this code.
func (r response) expect(code int) response {
	GinkgoHelper()
	Expect(r.status).To(Equal(code), "%s\n%s", r.to, r.body)
	return r
}

// refused fails the spec unless the response is a Status with this code and these parts in its message.
func (r response) refused(code int, parts ...string) {
	GinkgoHelper()
	r.expect(code)
	s := decode[metav1.Status](r)
	Expect(s.Status).To(Equal(metav1.StatusFailure), r.to.String())
	for _, part := range fillAll(parts) {
		Expect(s.Message).To(ContainSubstring(part), r.to.String())
	}
}

// decode reads the body as T, and fails the spec if T lacks a field that it has.
func decode[T any](r response) T {
	GinkgoHelper()
	var into T
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.DisallowUnknownFields()
	Expect(d.Decode(&into)).To(Succeed(), "%s\n%s", r.to, r.body)
	return into
}

func (r response) set() set {
	GinkgoHelper()
	s, err := read(r.body, true)
	Expect(err).NotTo(HaveOccurred(), "%s\n%s", r.to, r.body)
	Expect(s.TypeMeta).To(Equal(typeMeta("")))
	return s
}

func (r response) list() configv1.ImageDigestMirrorSetList {
	GinkgoHelper()
	l, err := readList(r.expect(http.StatusOK).body)
	Expect(err).NotTo(HaveOccurred(), "%s\n%s", r.to, r.body)
	Expect(l.TypeMeta).To(Equal(typeMeta("List")))
	return l
}

// has reports whether the object of the response has a field at its top.
func (r response) has(field string) bool {
	GinkgoHelper()
	_, ok := decode[map[string]any](r)[field]
	return ok
}

// warnings are the texts of the response's warning headers.
func (r response) warnings() []string {
	GinkgoHelper()
	warnings := []string{}
	for _, w := range r.header.Values("Warning") {
		text, err := strconv.Unquote(strings.TrimPrefix(w, "299 - "))
		Expect(err).NotTo(HaveOccurred(), w)
		warnings = append(warnings, text)
	}
	return warnings
}

// setJSON is a set as a client sends it. Meta goes behind the name, as more of the metadata's JSON.
func setJSON(name, meta, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"config.openshift.io/v1","kind":"$KIND","metadata":{"name":%q%s},"spec":%s}`, name, meta, spec)
}

// create makes a set with one rule.
func create(name, meta string) set {
	GinkgoHelper()
	body := setJSON(name, meta, `{"$FIELD":[{"source":"old.example.com","mirrors":["m.example.com"]}]}`)
	return send(request{method: http.MethodPost, path: collection, body: body}).expect(http.StatusCreated).set()
}

// catchUp makes the server's cache, which some requests are answered from however old it is, as new as the storage.
func catchUp() {
	GinkgoHelper()
	now := get(collection).list().ResourceVersion
	get(collection, "resourceVersionMatch=NotOlderThan", "resourceVersion="+now).expect(http.StatusOK)
}

func namesOf(sets []set) []string {
	names := make([]string, 0, len(sets))
	for i := range sets {
		names = append(names, sets[i].Name)
	}
	return names
}

func sourcesOf(s set) []string {
	sources := make([]string, 0, len(s.Spec.ImageDigestMirrors))
	for i := range s.Spec.ImageDigestMirrors {
		sources = append(sources, s.Spec.ImageDigestMirrors[i].Source)
	}
	return sources
}
