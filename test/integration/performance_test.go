// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/test/controlplane"
	"github.com/mirrorset/mirrorset/test/rights"
)

// performance is docs/explanation/performance.md.
func performance() string {
	GinkgoHelper()
	document, err := os.ReadFile("../../docs/explanation/performance.md")
	Expect(err).NotTo(HaveOccurred())
	return string(document)
}

// requestsOf are those of an account that the API server has recorded.
func requestsOf(account string) (own []rights.Request) {
	GinkgoHelper()
	all, err := plane.Requests()
	Expect(err).NotTo(HaveOccurred())
	for i := range all {
		if all[i].User.Name == user(account) {
			own = append(own, all[i])
		}
	}
	return own
}

// schemaOf returns the UID of the FlowSchema that the API server uses for a request of an account.
func schemaOf(ctx context.Context, account string) string {
	GinkgoHelper()
	config := rest.CopyConfig(plane.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user(account), Groups: groups}
	as, err := rest.HTTPClientFor(config)
	Expect(err).NotTo(HaveOccurred())
	at, err := url.JoinPath(config.Host, "/apis/mirrorset.io/v1alpha1/mirrornodes")
	Expect(err).NotTo(HaveOccurred())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	Expect(err).NotTo(HaveOccurred())
	resp, err := as.Do(req)
	Expect(err).NotTo(HaveOccurred())
	Expect(resp.Body.Close()).To(Succeed())
	Expect(resp.StatusCode).To(Equal(http.StatusOK))
	return resp.Header.Get(flowcontrolv1.ResponseHeaderMatchedFlowSchemaUID)
}

var _ = Describe("docs/explanation/performance.md", func() {
	It("counts the watches of an agent, and its requests for a change", func(ctx SpecContext) {
		said := regexp.MustCompile(`\*\*An agent\s+keeps\s+(\d+)\s+watches\*\*(?s:.*)\*\*With\s+each\s+change,\s+an\s+agent\s+makes\s+(\d+)\s+request\*\*`).FindStringSubmatch(performance())
		Expect(said).To(HaveLen(3))
		n, s := newNode(), set("a", entry("quay.io", "first.local"))
		before := len(requestsOf(controlplane.AgentAccount))
		startManager(ctx, alone)
		startAgent(ctx, n, "--manager", "mirrorset-manager")
		Expect(admin.Create(ctx, s)).To(Succeed())
		awaitInForce(ctx, s.Name)
		watches := func() string {
			started := map[string]bool{} // some more than once, as when a CRD was not served yet
			for _, r := range requestsOf(controlplane.AgentAccount)[before:] {
				if at, err := url.Parse(r.URI); err == nil && r.Verb == "watch" {
					started[at.Path+" "+at.Query().Get("fieldSelector")] = true
				}
			}
			return fmt.Sprint(len(started))
		}
		Eventually(watches).Should(Equal(said[1]))

		was := s.DeepCopy()
		s.Spec.ImageDigestMirrors[0].Mirrors = []configv1.ImageMirror{"second.local"}
		before = len(requestsOf(controlplane.AgentAccount))
		Expect(admin.Patch(ctx, s, client.MergeFrom(was))).To(Succeed())
		awaitInForce(ctx, s.Name)
		var made []string
		for _, r := range requestsOf(controlplane.AgentAccount)[before:] {
			if r.Verb != "watch" { // which go on elsewhere now and then
				made = append(made, r.Verb+" "+r.Object.Resource+"/"+r.Object.Subresource)
			}
		}
		Expect(made).To(HaveLen(1))
		Expect(made).To(HaveEach("patch mirrornodes/status"))
		Expect(said[2]).To(Equal("1"))
	})

	It("has a priority level by which the API server takes the requests of agents, and of nobody else", func(ctx SpecContext) {
		example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(performance())
		Expect(example).To(HaveLen(2))
		file := filepath.Join(GinkgoT().TempDir(), "flow.yaml")
		Expect(os.WriteFile(file, []byte(example[1]), 0o600)).To(Succeed())
		kubectl := func(args ...string) string {
			GinkgoHelper()
			out, err := plane.Kubectl(ctx, args...).CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
			return string(out)
		}
		kubectl("apply", "-f", file)
		DeferCleanup(func(ctx SpecContext) {
			out, err := plane.Kubectl(ctx, "delete", "-f", file).CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
		})
		schema := &flowcontrolv1.FlowSchema{}
		Expect(admin.Get(ctx, client.ObjectKey{Name: "mirrorset-agents"}, schema)).To(Succeed())
		Eventually(schemaOf).WithArguments(ctx, controlplane.AgentAccount).Should(Equal(string(schema.UID)))
		Expect(schemaOf(ctx, controlplane.ManagerAccount)).NotTo(Equal(string(schema.UID)))
		command := regexp.MustCompile("`kubectl (get --raw [^`]+)`").FindStringSubmatch(performance())
		Expect(command).To(HaveLen(2))
		Expect(kubectl(strings.Fields(command[1])...)).To(ContainSubstring(schema.Spec.PriorityLevelConfiguration.Name))
	})
})
