// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net/http"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/kinds"
)

// operation is one endpoint and verb of the page, with what it lists there.
type operation struct {
	method, path string // the path with {name}
	parameters   string // those of the endpoint and those of the verb
	codes        string
	success      int // of the request that call makes, on an existing set; but for create
}

const (
	listParameters  = "pretty allowWatchBookmarks continue fieldSelector labelSelector limit resourceVersion resourceVersionMatch timeoutSeconds watch"
	writeParameters = "pretty dryRun fieldManager fieldValidation"
)

var operations = []operation{
	{http.MethodDelete, collection, listParameters, "200 401", 200},
	{http.MethodGet, collection, listParameters, "200 401", 200},
	{http.MethodPost, collection, writeParameters, "200 201 202 401", 201},
	{http.MethodDelete, collection + "/{name}", "pretty dryRun gracePeriodSeconds orphanDependents propagationPolicy", "200 202 401", 200},
	{http.MethodGet, collection + "/{name}", "pretty resourceVersion", "200 401", 200},
	{http.MethodPatch, collection + "/{name}", writeParameters, "200 401", 200},
	{http.MethodPut, collection + "/{name}", writeParameters, "200 201 401", 200},
	{http.MethodGet, collection + "/{name}/status", "pretty resourceVersion", "200 401", 200},
	{http.MethodPatch, collection + "/{name}/status", writeParameters, "200 401", 200},
	{http.MethodPut, collection + "/{name}/status", writeParameters, "200 201 401", 200},
}

// rows makes an entry of each operation.
func rows() []TableEntry {
	entries := make([]TableEntry, 0, len(operations))
	for _, o := range operations {
		entries = append(entries, Entry(o.method+" "+strings.TrimPrefix(o.path, collection), o))
	}
	return entries
}

// call is a request that the operation takes, once the set exists (or, to create it, once it does not).
func (o operation) call(resourceVersion string) request {
	r := request{method: o.method, path: strings.ReplaceAll(o.path, "{name}", name)}
	switch o.method {
	case http.MethodPost:
		r.body = setJSON(name, "", "{}")
	case http.MethodPut:
		r.body = setJSON(name, `,"resourceVersion":"`+resourceVersion+`"`, "{}")
	case http.MethodPatch:
		r.body, r.contentType = `{"metadata":{"labels":{"a":"b"}}}`, mergePatch
	}
	return r
}

// prepare makes what the operation works on, and returns its resource version.
func (o operation) prepare() string {
	if o.method == http.MethodPost {
		return ""
	}
	return create(name, "").ResourceVersion
}

var _ = describe("the operations of the page", func() {
	DescribeTable("are described by the server with the page's parameters and codes", func(o operation) {
		described := func(g Gomega) {
			document := served(g)
			endpoint := document.Paths[fill(o.path)]
			g.Expect(endpoint).NotTo(BeNil())
			verb := object(endpoint[strings.ToLower(o.method)])
			parameters := append(parameterNames(endpoint["parameters"]), parameterNames(verb["parameters"])...)
			g.Expect(parameters).To(ContainElements(strings.Fields(o.parameters)))
			codes := object(verb["responses"])
			g.Expect(codes).To(HaveLen(len(strings.Fields(o.codes))))
			for _, code := range strings.Fields(o.codes) {
				g.Expect(codes).To(HaveKey(code))
			}
		}
		Eventually(described).Should(Succeed()) // the document follows the CRD
	}, rows())

	DescribeTable("answer with the page's code", func(o operation) {
		send(o.call(o.prepare())).expect(o.success)
	}, rows())

	DescribeTable("answer 401 to who is not authenticated, and change nothing", func(o operation) {
		r := o.call(o.prepare())
		before := get(collection).list().Items
		sendAs(stranger, r).refused(http.StatusUnauthorized, "Unauthorized")
		Expect(get(collection).list().Items).To(Equal(before))
	}, rows())

	DescribeTable("answer 403 to anonymous callers, who have no role, and change nothing", func(o operation) {
		r := o.call(o.prepare())
		before := get(collection).list().Items
		sendAs(anonymous, r).refused(http.StatusForbidden, `User "system:anonymous" cannot`)
		Expect(get(collection).list().Items).To(Equal(before))
	}, rows())

	DescribeTable("print on one line or, with pretty, on many", func(o operation) {
		for query, many := range map[string]bool{"": false, "pretty=false": false, "pretty=true": true} {
			r := o.call(o.prepare())
			r.query = query
			body := string(send(r).expect(o.success).body)
			Expect(strings.Contains(strings.TrimSpace(body), "\n  ")).To(Equal(many), "%q: %s", query, body)
			send(request{method: http.MethodDelete, path: collection}).expect(http.StatusOK)
		}
	}, rows())

	DescribeTable("refuse values that a parameter does not have", func(o operation, query, field string, code int) {
		r := o.call(o.prepare())
		before := get(collection).list().Items
		r.query = query
		send(r).refused(code, field)
		Expect(get(collection).list().Items).To(Equal(before))
	}, malformed())
})

// malformed has a row for each operation and each of its parameters that does not take every value.
func malformed() []TableEntry {
	type refusal struct {
		query, says string
		code        int
	}
	refusals := map[string]refusal{
		"continue":             {"continue=!", "continue", 400},
		"fieldSelector":        {"fieldSelector=spec.source=a", "field label not supported: spec.source", 400},
		"labelSelector":        {"labelSelector=a%20in", "found", 400},
		"limit":                {"limit=x", "invalid syntax", 400},
		"resourceVersionMatch": {"resourceVersion=1&resourceVersionMatch=x", "resourceVersionMatch: Unsupported value", 422},
		"timeoutSeconds":       {"timeoutSeconds=x", "invalid syntax", 400},
		"dryRun":               {"dryRun=x", "dryRun: Unsupported value", 422},
		"fieldManager":         {"fieldManager=" + strings.Repeat("x", 129), "fieldManager: Too long", 422},
		"fieldValidation":      {"fieldValidation=x", "fieldValidation: Unsupported value", 422},
		"gracePeriodSeconds":   {"gracePeriodSeconds=x", "invalid syntax", 400},
		"propagationPolicy":    {"propagationPolicy=x", "propagationPolicy: Unsupported value", 422},
		"orphanDependents":     {"orphanDependents=true&propagationPolicy=Orphan", "cannot be both set", 422},
	}
	entries := make([]TableEntry, 0)
	for _, o := range operations {
		for _, parameter := range strings.Fields(o.parameters) {
			if r, ok := refusals[parameter]; ok {
				entries = append(entries, Entry(o.method+" "+strings.TrimPrefix(o.path, collection)+" "+parameter, o, r.query, r.says, r.code))
			}
		}
	}
	return entries
}

// openAPI is the part of an OpenAPI document that the specs look at.
type openAPI struct {
	Paths      map[string]map[string]any `json:"paths"`
	Components struct {
		Schemas map[string]map[string]any `json:"schemas"`
	} `json:"components"`
	OpenAPI string `json:"openapi"`
	Info    any    `json:"info"`
}

// served is the document as the server has it by now.
func served(g Gomega) openAPI {
	GinkgoHelper()
	res := get("/openapi/v3/apis/config.openshift.io/v1")
	g.Expect(res.status).To(Equal(http.StatusOK)) // soon after the start there is none
	return decode[openAPI](res)
}

func object(value any) map[string]any {
	object, _ := value.(map[string]any)
	return object
}

func parameterNames(value any) []string {
	names := []string{}
	parameters, _ := value.([]any)
	for _, p := range parameters {
		n, _ := object(p)["name"].(string)
		names = append(names, n)
	}
	return names
}

var _ = describe("discovery", func() {
	It("lists the resource and its status, cluster scoped, with the short name", func() {
		resources := decode[metav1.APIResourceList](get("/apis/config.openshift.io/v1").expect(http.StatusOK)).APIResources
		Expect(resources).To(HaveLen(2 * len(kinds.All)))
		at := slices.IndexFunc(resources, func(r metav1.APIResource) bool { return r.Name == kind.Resource })
		Expect(at).NotTo(Equal(-1))
		set, sub := resources[at], resources[at+1]
		Expect(set.SingularName).To(Equal(strings.ToLower(kind.Name)))
		Expect(set.ShortNames).To(Equal([]string{kind.ShortName}))
		Expect(set.Kind).To(Equal(kind.Name))
		Expect(set.Namespaced).To(BeFalse())
		Expect([]string(set.Verbs)).To(ConsistOf("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"))
		Expect(sub.Name).To(Equal(kind.Resource + "/status"))
		Expect(sub.Namespaced).To(BeFalse())
		Expect([]string(sub.Verbs)).To(ConsistOf("get", "patch", "update"))
	})

	It("lists the group with v1 alone", func() {
		group := decode[metav1.APIGroup](get("/apis/config.openshift.io").expect(http.StatusOK))
		Expect(group.PreferredVersion.Version).To(Equal("v1"))
		Expect(group.Versions).To(HaveLen(1))
	})

	It("has the resource in no namespace", func() {
		get("/apis/config.openshift.io/v1/namespaces/default/$RESOURCE").expect(http.StatusNotFound)
	})

	DescribeTable("lets kubectl find sets by each name", func(ctx SpecContext, resource string) {
		create(name, "")
		out, err := kubectl(ctx, "get", strings.ToLower(fill(resource)), name, "--output=name").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
		Expect(strings.TrimSpace(string(out))).To(Equal(strings.ToLower(kind.Name) + ".config.openshift.io/" + name))
	},
		Entry("short", "$SHORT"),
		Entry("singular", "$KIND"),
		Entry("plural", "$RESOURCE"),
		Entry("with its group", "$RESOURCE.config.openshift.io"),
	)
})
