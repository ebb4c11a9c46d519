// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// scrape gets metrics as Prometheus does with config/prometheus; the status is 0 where nobody listens.
func scrape(ctx context.Context, address, token string) (status int, body string) {
	GinkgoHelper()
	c := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", nil)
	Expect(err).NotTo(HaveOccurred())
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	Expect(err).NotTo(HaveOccurred())
	return resp.StatusCode, string(content)
}

// prometheusToken installs the account that config/prometheus has, until the end of the spec, and returns its token.
func (m *operator) prometheusToken(ctx context.Context) string {
	GinkgoHelper()
	m.kubectl(ctx, "apply", "--server-side", "-f", "../../config/prometheus/access.yaml")
	DeferCleanup(func(ctx SpecContext) {
		m.kubectl(ctx, "delete", "--ignore-not-found", "-f", "../../config/prometheus/access.yaml") // the token goes with its account
	}, cleanUpTimeout)
	var token string
	Eventually(func() string {
		token = m.kubectl(ctx, "get", "secret", "mirrorset-prometheus", "-n", namespace, "-o", "jsonpath={.data.token}")
		return token
	}).WithContext(ctx).WithTimeout(convergeTimeout).ShouldNot(BeEmpty())
	plain, err := base64.StdEncoding.DecodeString(token)
	Expect(err).NotTo(HaveOccurred())
	return string(plain)
}

var _ = Describe("the metrics of the manager", func() {
	It("are served to who may get them, and to nobody else", func(ctx SpecContext) {
		m := mirrorset(ctx)
		token := m.prometheusToken(ctx)
		m.expectReady(ctx)
		asked := func(token string) func() int {
			return func() int {
				ip := m.kubectl(ctx, "get", "pods", "-n", namespace, "-l", "app.kubernetes.io/component=manager", "--field-selector=status.phase=Running", "-o", "jsonpath={.items[0].status.podIP}")
				status, _ := scrape(ctx, net.JoinHostPort(ip, "8443"), token)
				return status
			}
		}
		Eventually(asked(token)).WithContext(ctx).WithTimeout(convergeTimeout).Should(Equal(http.StatusOK))
		Expect(asked("")()).To(Equal(http.StatusUnauthorized))
		Expect(asked("nobody's")()).NotTo(Equal(http.StatusOK))
		other := strings.TrimSpace(m.kubectl(ctx, "create", "token", "default", "-n", namespace))
		Expect(asked(other)()).To(Equal(http.StatusForbidden))
	}, nodeTimeout)
})

var _ = Describe("the metrics of an agent", func() {
	It("are served at its node's own address, where the manager is told so, and by its successor", func(ctx SpecContext) {
		m := mirrorset(ctx)
		ip := m.kubectl(ctx, "get", "nodes", "-o", `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`)
		address := net.JoinHostPort(ip, "290")
		status, _ := scrape(ctx, address, "")
		Expect(status).To(BeZero(), "without the argument somebody listens")

		token := m.prometheusToken(ctx)
		m.setArgument(ctx, "--agent-metrics-bind-address=:290")

		resp, err := http.Get("http://127.0.0.1:289/nothing") // which the redirector counts
		Expect(err).NotTo(HaveOccurred())
		Expect(resp.Body.Close()).To(Succeed())
		served := func() string {
			status, body := scrape(ctx, address, token)
			return fmt.Sprint(status, "\n", body)
		}
		expect := func(parts ...string) {
			GinkgoHelper()
			for _, part := range parts {
				Eventually(served).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(100 * time.Millisecond).Should(ContainSubstring(part))
			}
		}
		expect("200\n", "\nmirrorset_agent_redirector_up 1\n", `mirrorset_agent_redirector_requests_total{result="bad_request"} 1`)
		status, body := scrape(ctx, address, "nobody's")
		Expect(status).To(Equal(http.StatusUnauthorized), body)
		status, _ = scrape(ctx, "127.0.0.1:290", token)
		Expect(status).To(BeZero(), "it listens at another address, too")

		m.kubectl(ctx, "rollout", "restart", "-n", namespace, "daemonset/mirrorset-agent")
		m.kubectl(ctx, "rollout", "status", kubectlTimeout, "-n", namespace, "daemonset/mirrorset-agent")
		expect("200\n", `mirrorset_agent_redirector_requests_total{result="bad_request"} 0`)
		// While the predecessor's Pod goes, kubectl may fail on its log before it comes to the other.
		Eventually(m.logsOf).WithContext(ctx).WithArguments("agent").WithTimeout(convergeTimeout).Should(ContainSubstring("Serving metrics"))
	}, nodeTimeout)
})
