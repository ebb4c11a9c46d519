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

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

var _ = describe("the fields of the page", func() {
	DescribeTable("are described by the server with the page's types", func(path, kind, required string) {
		described := func(g Gomega) {
			document := served(g)
			schema := document.Components.Schemas[fill("io.openshift.config.v1.$KIND")]
			for _, step := range strings.Fields(fill(path)) {
				if step == "[]" {
					schema = object(schema["items"])
				} else {
					schema = object(object(schema["properties"])[step])
				}
			}
			if kind == "" { // metadata refers to another schema
				g.Expect(schema).To(HaveKey("allOf"))
				return
			}
			g.Expect(schema).To(HaveKeyWithValue("type", kind))
			needs := []any{}
			if required != "" {
				needs = append(needs, required)
			}
			has, _ := schema["required"].([]any)
			g.Expect(has).To(ConsistOf(needs...))
		}
		Eventually(described).Should(Succeed())
	},
		Entry("the set", "", "object", "spec"),
		Entry("apiVersion", "apiVersion", "string", ""),
		Entry("kind", "kind", "string", ""),
		Entry("metadata", "metadata", "", ""),
		Entry("spec", "spec", "object", ""),
		Entry("status", "status", "object", ""),
		Entry("spec.$FIELD", "spec $FIELD", "array", ""),
		Entry("spec.$FIELD[]", "spec $FIELD []", "object", "source"),
		Entry("spec.$FIELD[].source", "spec $FIELD [] source", "string", ""),
		Entry("spec.$FIELD[].mirrors", "spec $FIELD [] mirrors", "array", ""),
		Entry("spec.$FIELD[].mirrors[]", "spec $FIELD [] mirrors []", "string", ""),
		Entry("spec.$FIELD[].mirrorSourcePolicy", "spec $FIELD [] mirrorSourcePolicy", "string", ""),
	)

	const (
		rule = "spec.$FIELD[0]"
		from = `{"$FIELD":[{"source":"s.com"`
	)

	DescribeTable("are accepted", func(spec string, entries int) {
		set := send(request{method: http.MethodPost, path: collection, query: "fieldValidation=Strict", body: setJSON(name, "", spec)}).expect(http.StatusCreated).set()
		Expect(set.Spec.ImageDigestMirrors).To(HaveLen(entries))
		Expect(get(named).set()).To(Equal(set))
	},
		Entry("an empty spec", `{}`, 0),
		Entry("no rules", `{"$FIELD":[]}`, 0),
		Entry("null for the rules", `{"$FIELD":null}`, 0),
		Entry("a source alone", from+`}]}`, 1),
		Entry("no mirrors", from+`,"mirrors":[]}]}`, 1),
		Entry("null for the mirrors", from+`,"mirrors":null}]}`, 1),
		Entry("the policy NeverContactSource", from+`,"mirrors":["m.com"],"mirrorSourcePolicy":"NeverContactSource"}]}`, 1),
		Entry("the policy AllowContactingSource", from+`,"mirrors":["m.com"],"mirrorSourcePolicy":"AllowContactingSource"}]}`, 1),
		Entry("null for the policy", from+`,"mirrorSourcePolicy":null}]}`, 1),
		Entry("a policy without mirrors", from+`,"mirrorSourcePolicy":"NeverContactSource"}]}`, 1),
		Entry("the source as a mirror", from+`,"mirrors":["s.com"]}]}`, 1),
		Entry("equal sources, with other mirrors and policies", from+`,"mirrors":["m.com"]},{"source":"s.com","mirrorSourcePolicy":"NeverContactSource"}]}`, 2),
		Entry("equal rules", from+`},{"source":"s.com"}]}`, 2),
		Entry("mirrors that differ in case only", from+`,"mirrors":["m.com","M.com"]}]}`, 1),
		Entry("a thousand rules", `{"$FIELD":[`+strings.Repeat(`{"source":"s.com","mirrors":["m.com"]},`, 999)+`{"source":"s.com"}]}`, 1000),
	)

	DescribeTable("are refused, with the name of each faulty field", func(spec string, fields ...string) {
		res := send(request{method: http.MethodPost, path: collection, body: setJSON(name, "", spec)})
		res.refused(http.StatusUnprocessableEntity, fields...)
		causes := []string{}
		for _, cause := range decode[metav1.Status](res).Details.Causes {
			if cause.Field != "<nil>" && !slices.Contains(causes, cause.Field) { // that some rules are not checked is a cause too
				causes = append(causes, cause.Field)
			}
		}
		Expect(causes).To(ConsistOf(fillAll(fields)))
		get(named).refused(http.StatusNotFound)
	},
		Entry("null for the spec", `null`, "spec"),
		Entry("a list for the spec", `[]`, "spec"),
		Entry("an object for the rules", `{"$FIELD":{}}`, "spec.$FIELD"),
		Entry("text for a rule", `{"$FIELD":["s.com"]}`, rule),
		Entry("null for a rule", `{"$FIELD":[null]}`, rule),
		Entry("an empty rule", `{"$FIELD":[{}]}`, rule+".source"),
		Entry("no source", `{"$FIELD":[{"mirrors":["m.com"]}]}`, rule+".source"),
		Entry("no source in the second rule", from+`},{"mirrors":["m.com"]}]}`, "spec.$FIELD[1].source"),
		Entry("null for the source", `{"$FIELD":[{"source":null}]}`, rule+".source"),
		Entry("a number for the source", `{"$FIELD":[{"source":1}]}`, rule+".source"),
		Entry("text for the mirrors", from+`,"mirrors":"m.com"}]}`, rule+".mirrors"),
		Entry("null for a mirror", from+`,"mirrors":[null]}]}`, rule+".mirrors[0]"),
		Entry("a number for a mirror", from+`,"mirrors":["m.com",1]}]}`, rule+".mirrors[1]"),
		Entry("a mirror that is there twice", from+`,"mirrors":["m.com","n.com","m.com"]}]}`, rule+".mirrors[2]"),
		Entry("a mirror that is there three times", from+`,"mirrors":["m.com","m.com","m.com"]}]}`, rule+".mirrors[1]"),
		Entry("an empty policy", from+`,"mirrorSourcePolicy":""}]}`, rule+".mirrorSourcePolicy"),
		Entry("an unknown policy", from+`,"mirrorSourcePolicy":"Sometimes"}]}`, rule+".mirrorSourcePolicy"),
		Entry("a policy in another case", from+`,"mirrorSourcePolicy":"neverContactSource"}]}`, rule+".mirrorSourcePolicy"),
		Entry("a number for the policy", from+`,"mirrorSourcePolicy":1}]}`, rule+".mirrorSourcePolicy"),
		Entry("several faults", `{"$FIELD":[{"source":"S_"},{"source":"s.com","mirrors":["m.com","M/X"],"mirrorSourcePolicy":"x"}]}`, rule+".source", "spec.$FIELD[1].mirrors[1]", "spec.$FIELD[1].mirrorSourcePolicy"),
	)

	It("include a spec, always", func() {
		body := `{"apiVersion":"config.openshift.io/v1","kind":"$KIND","metadata":{"name":"set"}}`
		send(request{method: http.MethodPost, path: collection, body: body}).refused(http.StatusUnprocessableEntity, "spec: Required value")
	})

	DescribeTable("have a policy that internal/mirrors knows too", func(policy configv1.MirrorSourcePolicy, valid bool) {
		r := configv1.ImageDigestMirrors{Source: "s.com", Mirrors: []configv1.ImageMirror{"m.com"}, MirrorSourcePolicy: policy}
		if valid {
			post(r).expect(http.StatusCreated)
			Expect(found(r, mirrors.InvalidPolicy)).To(BeEmpty())
			return
		}
		post(r).refused(http.StatusUnprocessableEntity, rule+".mirrorSourcePolicy: Unsupported value", `"NeverContactSource", "AllowContactingSource"`)
		Expect(found(r, mirrors.InvalidPolicy)).To(HaveLen(1))
	},
		Entry("NeverContactSource", configv1.NeverContactSource, true),
		Entry("AllowContactingSource", configv1.AllowContactingSource, true),
		Entry("none", configv1.MirrorSourcePolicy(""), true),
		Entry("another", configv1.MirrorSourcePolicy("Sometimes"), false),
		Entry("one in another case", configv1.MirrorSourcePolicy("nevercontactsource"), false),
		Entry("one with a space", configv1.MirrorSourcePolicy("NeverContactSource "), false),
	)
})
