// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// The locations of semantics.md section 0: what sources, other than wildcards, and mirrors have in common.
var (
	validLocations = map[string]string{
		"a host": "quay.io", "a host of one label": "registry", "localhost": "localhost", "a host of one letter": "a", "a host of one digit": "1",
		"upper-case letters in the host": "Quay.IO", "digits and hyphens in the host": "a-1.b--2.c", "an IPv4 address": "10.0.0.1", "punycode": "xn--bcher-kva.example",
		"a port": "quay.io:5000", "a port of one digit": "a:1", "a port out of range": "a.com:99999999", "a port of zeros": "a.com:0", "an IPv4 address and port": "10.0.0.1:5000/x",
		"a namespace": "quay.io/libpod", "a repository": "quay.io/libpod/busybox", "a port and a repository": "quay.io:5000/libpod/busybox", "many components": "a.com" + strings.Repeat("/x", 200),
		"one dot in a component": "a.com/x.y", "one underscore": "a.com/x_y", "two underscores": "a.com/x__y", "a run of hyphens": "a.com/x" + strings.Repeat("-", 50) + "y",
		"several joints in a component": "a.com/x.y_z__u-v", "digits alone in a component": "a.com/1/2", "hex as a component": "a.com/" + strings.Repeat("f", 64),
		"a very long label": strings.Repeat("a", 100000) + ".com", "a very long component": "a.com/" + strings.Repeat("x", 100000), "a very long host": strings.Repeat("a.", 50000) + "com",
	}
	invalidLocations = map[string]string{
		"nothing": "", "a space": " ", "a space in front": " quay.io", "a space behind": "quay.io ", "a space inside": "quay io", "a line break behind": "quay.io\n", "a line before": "x\nquay.io", "a NUL": "a\x00b",
		"a tag": "quay.io/x:latest", "a tag behind a port": "a.com:5000/x:1", "a digest": "quay.io/x@sha256:" + strings.Repeat("0", 64), "a tag and a digest": "a.com/x:1@sha256:" + strings.Repeat("0", 64),
		"https": "https://quay.io", "http": "http://quay.io/x", "docker": "docker://quay.io/x", "no scheme but slashes": "//quay.io", "a user": "user@quay.io", "a query": "quay.io?x=y", "a fragment": "quay.io#x",
		"IPv6": "[::1]", "IPv6 and a port": "[::1]:5000", "IPv6 and a path": "[fe80::1]/x", "IPv6 without brackets": "fe80::1",
		"a port of letters": "quay.io:http", "an empty port": "quay.io:", "an empty port and a path": "quay.io:/x", "a negative port": "a.com:-1", "two ports": "a.com:1:2", "a port alone": ":5000",
		"an underscore in the host": "a_b.com", "a hyphen before the host": "-a.com", "a hyphen behind the host": "a.com-", "a hyphen before a dot": "a-.com", "a hyphen behind a dot": "a.-b", "a dot before the host": ".a.com", "a dot behind the host": "a.com.", "two dots in the host": "a..com", "a hyphen alone": "-", "letters beyond ASCII in the host": "bücher.example",
		"a slash behind": "quay.io/", "a slash behind the path": "quay.io/x/", "a slash in front": "/quay.io", "two slashes": "quay.io//x", "a slash alone": "/",
		"upper-case letters in a component": "quay.io/Libpod", "an upper-case letter at the end": "quay.io/libpoD", "letters beyond ASCII in a component": "a.com/é",
		"three underscores": "a.com/x___y", "two dots in a component": "a.com/x..y", "a dot and a hyphen": "a.com/x.-y", "an underscore and a hyphen": "a.com/x_-y", "a dot before a component": "a.com/.x", "a dot behind a component": "a.com/x.", "a hyphen before a component": "a.com/-x", "a hyphen behind a component": "a.com/x-", "an underscore before a component": "a.com/_x", "an underscore behind a component": "a.com/x_", "a parent folder": "a.com/../x", "a percent sign": "a.com/%61", "a backslash": `a.com\x`, "a tilde": "a.com/~x",
		"a star alone": "*", "a star and a dot": "*.", "a star without a dot": "*a.com", "a star inside": "a.*.com", "a star behind": "a.com.*", "a star as a component": "a.com/*", "two stars": "*.*.com", "two stars in a row": "**.a.com", "a star and two dots": "*..com",
		"a wildcard with a port": "*.a.com:5000", "a wildcard with a path": "*.a.com/x", "a wildcard with a slash": "*.a.com/", "a wildcard with an underscore": "*.a_b.com", "a wildcard with a hyphen at an end": "*.a-.com", "a wildcard and a dot": "*.a.com.",
		"a very long value, with one fault at its end": "a.com/" + strings.Repeat("x", 100000) + "_",
	}
	wildcards = map[string]string{
		"a wildcard": "*.redhat.io", "a wildcard of one label": "*.io", "a wildcard of many labels": "*.a.b.c.d", "a wildcard with upper-case letters": "*.RedHat.io", "a wildcard with hyphens": "*.a--b.c", "a wildcard of digits": "*.1", "a very long wildcard": "*." + strings.Repeat("a.", 50000) + "io",
	}
	// unusable are mirrors that the schema takes, and that would still fail every pull (E3).
	unusable = map[string]bool{
		"a host of one label": true, "a host of one letter": true, "a host of one digit": true, "many components": true,
		"a very long label": true, "a very long component": true, "a very long host": true,
	}
)

// cases makes an entry of each value.
func cases(valid bool, tables ...map[string]string) []TableEntry {
	entries := make([]TableEntry, 0)
	for _, table := range tables {
		for _, what := range slices.Sorted(maps.Keys(table)) {
			entries = append(entries, Entry(what, what, table[what], valid))
		}
	}
	return entries
}

// post tries to create a set with one rule.
func post(rule configv1.ImageDigestMirrors) response {
	GinkgoHelper()
	return send(request{method: http.MethodPost, path: collection, query: "dryRun=All", body: setJSON(name, "", specJSON(rule))})
}

// judged fails the spec unless the server takes the rule, or refuses it for nothing but the pattern of the field.
func judged(rule configv1.ImageDigestMirrors, valid bool, field string) {
	GinkgoHelper()
	res := post(rule)
	if valid {
		Expect(res.expect(http.StatusCreated).set().Spec.ImageDigestMirrors).To(Equal([]configv1.ImageDigestMirrors{rule}))
		return
	}
	res.refused(http.StatusUnprocessableEntity, field+": Invalid value", field+" in body should match '^")
	Expect(decode[metav1.Status](res).Details.Causes).To(ConsistOf(HaveField("Field", fill(field))))
}

// found are the findings of internal/mirrors about a rule, with this reason.
func found(rule configv1.ImageDigestMirrors, reason mirrors.Reason) []string {
	GinkgoHelper()
	s, err := kind.Decode(func(object any) error { return json.Unmarshal([]byte(fill(setJSON(name, "", specJSON(rule)))), object) })
	Expect(err).NotTo(HaveOccurred())
	messages := []string{}
	for _, f := range kinds.Merge([]kinds.Set{s}, nil).Findings {
		if f.Reason == reason {
			messages = append(messages, f.Message)
		}
	}
	return messages
}

var _ = describe("the schema and internal/mirrors", func() {
	DescribeTable("agree on sources", func(_, value string, valid bool) {
		rule := configv1.ImageDigestMirrors{Source: value, Mirrors: []configv1.ImageMirror{"m.example.com/x"}}
		judged(rule, valid, "spec.$FIELD[0].source")
		if valid {
			Expect(found(rule, mirrors.InvalidSource)).To(BeEmpty())
		} else {
			Expect(found(rule, mirrors.InvalidSource)).To(HaveLen(1))
		}
	}, cases(true, validLocations, wildcards), cases(false, invalidLocations))

	DescribeTable("agree on mirrors", func(what, location string, valid bool) {
		rule := configv1.ImageDigestMirrors{Source: "s.example.com", Mirrors: []configv1.ImageMirror{"m.example.com/x", configv1.ImageMirror(location)}}
		judged(rule, valid, "spec.$FIELD[0].mirrors[1]")
		wrong := value.Wrong(location, value.Mirror)
		switch messages := found(rule, mirrors.InvalidMirror); {
		case !valid:
			Expect(messages).To(ConsistOf(ContainSubstring(wrong)))
		case unusable[what]:
			Expect(messages).To(ConsistOf(Not(ContainSubstring(wrong))))
		default:
			Expect(messages).To(BeEmpty())
		}
	}, cases(true, validLocations), cases(false, invalidLocations, wildcards))
})
