// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/types"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/grants/onhost"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// login returns the password that the library of CRI-O and Podman finds for a repository on a node; "" for none.
func (n *node) login(repository string) (string, error) {
	found, err := config.GetCredentials(&types.SystemContext{AuthFilePath: n.path(onhost.AuthFile)}, repository)
	return found.Password, err
}

// ready returns the message of the node's condition RuntimeReady, and whether all rules are in force.
func ready(ctx context.Context) (message string, applied bool) {
	GinkgoHelper()
	var reported mirrorsetv1alpha1.MirrorNode
	Expect(client.IgnoreNotFound(admin.Get(ctx, client.ObjectKey{Name: "node-1"}, &reported))).To(Succeed())
	for _, c := range reported.Status.Conditions {
		switch c.Type {
		case mirrorsetv1alpha1.ConditionRuntimeReady:
			message = c.Message
		case mirrorsetv1alpha1.ConditionApplied:
			applied = c.Status == metav1.ConditionTrue
		}
	}
	return message, applied
}

var _ = Describe("What mirrors are granted", func() {
	const mirror = "m1.local:5000"
	var (
		n     *node
		agent *controlplane.Process
		s     *configv1.ImageDigestMirrorSet
	)
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: name}
	}
	message := func(ctx context.Context) string {
		said, _ := ready(ctx)
		return said
	}
	// grant has the cluster grant these logins, each NAME:PASSWORD.
	grant := func(ctx context.Context, logins map[string]string) {
		GinkgoHelper()
		secret := sinktest.Credentials(GinkgoTB(), logins)
		secret.ObjectMeta = meta(grants.CredentialsName)
		err := admin.Create(ctx, secret)
		if err != nil {
			err = admin.Update(ctx, secret)
		}
		Expect(err).NotTo(HaveOccurred())
	}
	trust := func(ctx context.Context, certificates string) {
		GinkgoHelper()
		cm := &corev1.ConfigMap{ObjectMeta: meta(grants.AuthoritiesName), Data: map[string]string{strings.Replace(mirror, ":", "..", 1): certificates}}
		err := admin.Create(ctx, cm)
		if err != nil {
			err = admin.Update(ctx, cm)
		}
		Expect(err).NotTo(HaveOccurred())
	}
	trusted := func() (string, error) {
		content, err := os.ReadFile(n.path(onhost.CertPath(mirror)))
		if os.IsNotExist(err) {
			return "", nil
		}
		_, certificates, _ := strings.Cut(string(content), "\n")
		return certificates, err
	}
	start := func(ctx context.Context) {
		GinkgoHelper()
		n = newNode()
		startManager(ctx, alone)
		agent = startAgent(ctx, n)
		s = set("a", entry("quay.io", mirror+"/q"))
		create(ctx, s)
		n.wantRules(s)
	}
	BeforeEach(func() {
		DeferCleanup(func(ctx SpecContext) {
			Expect(client.IgnoreNotFound(admin.Delete(ctx, &corev1.Secret{ObjectMeta: meta(grants.CredentialsName)}))).To(Succeed())
			Expect(client.IgnoreNotFound(admin.Delete(ctx, &corev1.ConfigMap{ObjectMeta: meta(grants.AuthoritiesName)}))).To(Succeed())
		})
	})

	It("reaches a node within seconds, is rotated, and is taken away", func(ctx SpecContext) {
		start(ctx)
		ca, _ := sinktest.Authority(GinkgoTB(), time.Now().Add(time.Hour))
		began := time.Now()
		grant(ctx, map[string]string{mirror: "name:hush-1", "quay.io": "name:hush-source", "else.com": "name:hush-else"})
		trust(ctx, ca)
		Eventually(n.login).WithArguments(mirror + "/q/x").Should(Equal("hush-1"))
		AddReportEntry("a login reached the node within", time.Since(began))
		Eventually(trusted).Should(Equal(ca))
		Expect(os.Stat(n.path(onhost.AuthFile))).To(HaveField("Mode()", BeEquivalentTo(0o600)))
		for _, repository := range []string{mirror + "/other", "quay.io/q/x", "else.com/x"} {
			Expect(n.login(repository)).To(BeEmpty(), repository)
		}

		grant(ctx, map[string]string{mirror + "/q": "name:hush-2"})
		Eventually(n.login).WithArguments(mirror + "/q/x").Should(Equal("hush-2"))
		other, _ := sinktest.Authority(GinkgoTB(), time.Now().Add(time.Hour))
		trust(ctx, other)
		Eventually(trusted).Should(Equal(other))
		n.put(onhost.AuthFile, "{}")
		Eventually(n.login).WithArguments(mirror + "/q/x").Should(Equal("hush-2"))

		change(ctx, s, entry("quay.io", "m2.local"))
		Eventually(n.login).WithArguments(mirror + "/q/x").Should(BeEmpty())
		Eventually(n.path).WithArguments(onhost.CertPath(mirror)).ShouldNot(BeAnExistingFile())
		change(ctx, s, entry("quay.io", mirror+"/q"))
		Eventually(n.login).WithArguments(mirror + "/q/x").Should(Equal("hush-2"))

		Expect(admin.Delete(ctx, &corev1.Secret{ObjectMeta: meta(grants.CredentialsName)})).To(Succeed())
		Expect(admin.Delete(ctx, &corev1.ConfigMap{ObjectMeta: meta(grants.AuthoritiesName)})).To(Succeed())
		Eventually(n.path).WithArguments(onhost.AuthFile).ShouldNot(BeAnExistingFile())
		Eventually(n.path).WithArguments(onhost.CertsDir + "/" + mirror).ShouldNot(BeADirectory())
		n.keepsRules(s)
		Expect(agent.Log()).NotTo(ContainSubstring("hush"))
	})

	It("is said where it is wrong, with the key and the remedy, and never the value", func(ctx SpecContext) {
		start(ctx)
		grant(ctx, map[string]string{mirror: "name:hush-1", "m3.local": "hush-without-a-name"})
		Eventually(message).WithContext(ctx).Should(SatisfyAll(ContainSubstring(`Secret mirror-credentials, key "m3.local"`), ContainSubstring("fix or remove that key")))
		Expect(n.login(mirror + "/q/x")).To(Equal("hush-1"))
		expired, _ := sinktest.Authority(GinkgoTB(), time.Now().Add(-time.Hour))
		trust(ctx, expired)
		Eventually(message).WithContext(ctx).Should(SatisfyAll(
			ContainSubstring(`ConfigMap mirror-authorities, key "m1.local..5000"`), ContainSubstring("expired on"), ContainSubstring("put the authority's new certificate under that key")))
		secret := &corev1.Secret{ObjectMeta: meta(grants.CredentialsName), Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths": {}, "hush": 1}`)}}
		Expect(admin.Update(ctx, secret)).To(Succeed())
		Eventually(n.login).WithArguments(mirror + "/q/x").Should(BeEmpty())
		Eventually(message).WithContext(ctx).ShouldNot(ContainSubstring("mirror-credentials"))
		said, applied := ready(ctx)
		Expect(applied).To(BeTrue(), "what is wrong with a grant keeps no rule back: "+said)
		trust(ctx, "hush, which is no PEM")
		Eventually(message).WithContext(ctx).Should(ContainSubstring("no certificate in PEM format"))
		all, err := json.Marshal(listed(ctx, &mirrorsetv1alpha1.MirrorNodeList{}))
		Expect(err).NotTo(HaveOccurred())
		events, err := json.Marshal(listed(ctx, &corev1.EventList{}))
		Expect(err).NotTo(HaveOccurred())
		published, err := json.Marshal(mustPublished(ctx))
		Expect(err).NotTo(HaveOccurred())
		Expect(agent.Log() + string(all) + string(events) + string(published)).NotTo(ContainSubstring("hush"))
	})

	It("stays on a node whose agent starts while the API server is away", func(ctx SpecContext) {
		start(ctx)
		ca, _ := sinktest.Authority(GinkgoTB(), time.Now().Add(time.Hour))
		grant(ctx, map[string]string{mirror: "name:hush-1"})
		trust(ctx, ca)
		Eventually(n.login).WithArguments(mirror + "/q/x").Should(Equal("hush-1"))
		Eventually(trusted).Should(Equal(ca))
		Expect(plane.StopAPIServer()).To(Succeed())
		back := false
		DeferCleanup(func() {
			if !back {
				Expect(plane.StartAPIServer()).To(Succeed())
			}
		})
		Expect(agent.Stop()).To(Succeed())
		n.remove(dropIn)
		n.put(onhost.CertPath("stale.com"), "# Written by Mirrorset. Change the ConfigMap mirror-authorities, and not this file.\n"+ca)
		successor, err := agent.Again()
		Expect(err).NotTo(HaveOccurred())
		track("agent", successor)
		n.wantRules(s)
		Eventually(n.path, soon).WithArguments(onhost.CertsDir+"/stale.com").ShouldNot(BeADirectory(), "no mirror of the rules is there")
		Consistently(func(g Gomega) {
			g.Expect(n.login(mirror + "/q/x")).To(Equal("hush-1"))
			g.Expect(trusted()).To(Equal(ca))
		}, "3s").Should(Succeed())
		n.put(onhost.AuthFile, "{}")
		Eventually(n.login).WithArguments(mirror + "/q/x").Should(Equal("hush-1"))
		Expect(plane.StartAPIServer()).To(Succeed())
		back = true
		Expect(admin.Delete(ctx, &corev1.Secret{ObjectMeta: meta(grants.CredentialsName)})).To(Succeed())
		Eventually(n.path).WithArguments(onhost.AuthFile).ShouldNot(BeAnExistingFile())
		Expect(trusted()).To(Equal(ca))
		Expect(successor.Log()).NotTo(ContainSubstring("hush"))
	})

	It("is no condition for rules where an older version's role is in force, which is said once", func(ctx SpecContext) {
		upgrade := func(ctx context.Context) { // a role that this spec changed would stay so
			GinkgoHelper()
			Expect(client.IgnoreNotFound(admin.Delete(ctx, &rbacv1.Role{ObjectMeta: meta("mirrorset-agent")}))).To(Succeed())
			Expect(plane.InstallAll(ctx)).To(Succeed())
		}
		DeferCleanup(func(ctx SpecContext) { upgrade(ctx) })
		role := &rbacv1.Role{ObjectMeta: meta("mirrorset-agent")}
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(role), role)).To(Succeed())
		var older []rbacv1.PolicyRule
		for _, rule := range role.Rules {
			switch rule.Resources[0] {
			case "secrets":
				continue
			case "configmaps":
				rule.ResourceNames = rule.ResourceNames[:1]
			}
			older = append(older, rule)
		}
		Expect(older).To(HaveLen(len(role.Rules) - 1))
		role.Rules = older
		Expect(admin.Update(ctx, role)).To(Succeed())
		n = newNode()
		text := sinktest.Grants(GinkgoTB(), map[string]string{mirror: "name:hush-1"}, nil).AuthFile([]mirrors.Scope{mirror})
		n.put(onhost.AuthFile, string(text))
		startManager(ctx, alone)
		agent = startAgent(ctx, n)
		s = set("a", entry("quay.io", mirror+"/q"))
		create(ctx, s)
		n.wantRules(s)
		Eventually(message, soon).WithContext(ctx).Should(SatisfyAll(
			ContainSubstring("the API server does not allow the agent to read Secret mirror-credentials in namespace "+controlplane.Namespace),
			ContainSubstring("the API server does not allow the agent to read ConfigMap mirror-authorities in namespace "+controlplane.Namespace),
			ContainSubstring("install the roles of this version")))
		Eventually(func() bool { // the agent writes its status after the files
			_, applied := ready(ctx)
			return applied
		}, soon).Should(BeTrue())
		grant(ctx, map[string]string{mirror: "name:hush-2"})
		Consistently(n.login, "3s").WithArguments(mirror + "/q/x").Should(Equal("hush-1"))
		Expect(strings.Count(agent.Log(), "does not allow the agent to read Secret")).To(BeNumerically("<=", 2), "it is logged when what is found changes:\n"+agent.Log())
		upgrade(ctx)
		Eventually(n.login, "2m").WithArguments(mirror + "/q/x").Should(Equal("hush-2"))
		Eventually(message, soon).WithContext(ctx).ShouldNot(ContainSubstring("does not allow the agent"))
	})
})

// listed returns a list of objects of all namespaces.
func listed[List client.ObjectList](ctx context.Context, list List) List {
	GinkgoHelper()
	Expect(admin.List(ctx, list)).To(Succeed())
	return list
}
