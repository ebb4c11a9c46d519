// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

var _ = Describe("A node whose CRI-O reads no logins", func() { // G4
	It("says so in its MirrorNode while mirrors have some, and until CRI-O is told to read them", func(ctx SpecContext) {
		startManager(ctx, alone)
		n, _ := crioNode(ctx, "node-1")
		create(ctx, set("a", entry("quay.io", "m1.local:5000/q")))
		awaitInForce(ctx, "a")
		said := func() string {
			message, _ := ready(ctx)
			return message
		}
		Consistently(said, "1s").ShouldNot(ContainSubstring("global_auth_file"))

		secret := sinktest.Credentials(GinkgoTB(), map[string]string{"m1.local:5000": "name:hush"})
		secret.ObjectMeta = metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: grants.CredentialsName}
		Expect(admin.Create(ctx, secret)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, secret)).To(Succeed()) })
		Eventually(said).Should(SatisfyAll(
			ContainSubstring("no configuration file of CRI-O sets global_auth_file, so CRI-O contacts mirrors without the logins in /var/lib/mirrorset/auth.json"),
			ContainSubstring("99-mirrorset-auth.conf")))
		awaitInForce(ctx, "a")

		n.put("etc/crio/crio.conf.d/99-mirrorset-auth.conf", "[crio.image]\nglobal_auth_file = \"/var/lib/mirrorset/auth.json\"\n")
		Eventually(said).ShouldNot(ContainSubstring("global_auth_file"))
	})
})
