// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = describe("the columns of kubectl get", func() {
	It("are wide enough for the reason and the message", func(ctx SpecContext) {
		create(name, "")
		send(request{method: http.MethodPatch, path: status, contentType: mergePatch, body: `{"status":{"conditions":[
			{"type":"Accepted","status":"True","reason":"AllEntriesAccepted","message":"all is used","lastTransitionTime":"2026-01-02T03:04:05Z"},
			{"type":"Ready","status":"False","reason":"NodesFailing","message":"node-1 cannot","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`}).expect(http.StatusOK)
		out, err := kubectl(ctx, "get", "$SHORT", "-o", "wide").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
		Expect(string(out)).To(MatchRegexp(`REASON +MESSAGE\nset .* NodesFailing +node-1 cannot\n`))
		out, err = kubectl(ctx, "get", "$SHORT").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
		Expect(string(out)).NotTo(ContainSubstring("REASON"))
	})
})

var _ = Describe("the short name of MirrorNode", func() {
	It("is one that kubectl takes", func(ctx SpecContext) {
		out, err := plane.Kubectl(ctx, "get", "mn").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
		Expect(string(out)).To(Equal("No resources found\n"))
	})
})
