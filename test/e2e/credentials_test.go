// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	criv1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ownCA is an authority that no machine knows, and a certificate of it for a server and its clients.
type ownCA struct {
	certificate tls.Certificate
	pool        *x509.CertPool
	ca          string // in PEM
	cert, key   string
}

func newOwnCA(name string) ownCA {
	GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, &x509.Certificate{Subject: pkix.Name{CommonName: name}}, key.Public(), key)
	Expect(err).NotTo(HaveOccurred())
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	Expect(err).NotTo(HaveOccurred())
	own := ownCA{pool: x509.NewCertPool()}
	own.cert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	own.key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	own.ca = own.cert
	Expect(own.pool.AppendCertsFromPEM([]byte(own.ca))).To(BeTrue())
	own.certificate, err = tls.X509KeyPair([]byte(own.cert), []byte(own.key))
	Expect(err).NotTo(HaveOccurred())
	return own
}

var _ = Describe("what registries see of containerd", func() {
	var (
		s      *site
		image  v1.Image
		digest string
	)

	BeforeEach(func(ctx SpecContext) {
		s = newSite(ctx)
		image, digest = newImage(ctx)
	}, setUpTimeout)

	DescribeTable("takes an image from a mirror behind an authority of its own,",
		func(ctx SpecContext, clients bool) {
			own := newOwnCA("first.site.test")
			var pool *x509.CertPool
			if clients {
				pool = own.pool
			}
			mirror := startTLSRegistry("own mirror", "first.site.test", own.certificate, pool, s.seen)
			mirror.push(ctx, "copy/app", image)
			folder := s.Path("/etc/containers/certs.d/" + mirror.host)
			put(filepath.Join(folder, "ca.crt"), own.ca)
			if clients {
				put(filepath.Join(folder, "client.cert"), own.cert)
				put(filepath.Join(folder, "client.key"), own.key)
			}
			DeferCleanup(os.RemoveAll, s.Path("/etc/containers/certs.d"))
			for name, source := range map[string]string{"a whole registry": s.source.host, "a namespace": s.source.host + "/team"} {
				By(name)
				s.apply(ctx, []string{mirrored("0")}, set("20-global", source, mirror.host+"/copy"+strings.TrimPrefix(source, s.source.host)))
				mirror.push(ctx, "copy/team/app", image)
				s.expectPulled(ctx, s.source.host+"/team/app"+digest)
				s.expectAsked(mirror)
				image, digest = newImage(ctx)
			}
		},
		Entry("which the node has for CRI-O", false, nodeTimeout),
		Entry("with a client certificate", true, nodeTimeout),
	)

	It("carries Docker-style certificates beside hosts.toml over to the source", func(ctx SpecContext) {
		own := newOwnCA("source.site.test")
		source := startTLSRegistry("own source", "source.site.test", own.certificate, own.pool, s.seen)
		source.push(ctx, "app", image)
		folder := s.Path(certsFolder(source.host))
		put(filepath.Join(folder, "ca.crt"), own.ca)
		put(filepath.Join(folder, "client.cert"), own.cert)
		put(filepath.Join(folder, "client.key"), own.key)
		DeferCleanup(os.RemoveAll, folder)
		s.scene.apply(ctx, nil, set("20-global", source.host+"/team", s.first.host+"/none"), set("30-all", source.host, s.second.host+"/none"))
		Eventually(func() string { return s.files()[certsFolder(source.host)+"/hosts.toml"] }).WithContext(ctx).WithTimeout(convergeTimeout).Should(ContainSubstring(`ca = ["ca.crt"]`))
		s.expectPulled(ctx, source.host+"/app"+digest)
		s.expectAsked(s.second, source)
		s.kubectl(ctx, "delete", "idms", "--all")
		Eventually(func() []string { return names(folder) }).WithContext(ctx).WithTimeout(convergeTimeout).Should(ConsistOf("ca.crt", "client.cert", "client.key"))
	}, nodeTimeout)

	It("gets a token from a mirror that gives one to everybody, and offers no credentials for it", func(ctx SpecContext) {
		atMirror, atTokens := s.wantToken(s.first, true)
		s.first.push(ctx, "copy/app", image)
		s.apply(ctx, []string{mirrored("0")}, set("20-global", s.source.host+"/team", s.first.host+"/copy"))
		s.expectPulled(ctx, s.source.host+"/team/app"+digest)
		s.expectAsked(s.first)
		Expect(atTokens.all()).To(Equal([]string{""}))
		Expect(atMirror.all()).To(ContainElement("Bearer let-me-in"))
	}, nodeTimeout)

	It("takes an image of a private source with the Pod's pull secret, although a part of that registry is blocked", func(ctx SpecContext) {
		atSource := wantBasic(s.source)
		s.source.push(ctx, "private/app", image)
		s.apply(ctx, []string{mirrored("source")}, never("30-airgap", s.source.host+"/shut", s.first.host+"/copy"))
		s.pullSecret(ctx, s.source.host)
		s.expectPulled(ctx, s.source.host+"/private/app"+digest)
		s.expectAsked(s.source)
		Expect(atSource.all()).To(ContainElement(user + ":" + password))
		tagged, _ := newImage(ctx)
		s.source.push(ctx, "private/tagged", tagged)
		s.expectPulled(ctx, s.source.host+"/private/tagged:1")
		s.expectAsked(s.source)
	}, nodeTimeout)

	It("offers a Pod's pull secret to a mirror that wants credentials, which docs/explanation/security.md says", func(ctx SpecContext) {
		atMirror := wantBasic(s.first)
		s.first.push(ctx, "copy/app", image)
		s.apply(ctx, []string{mirrored("0")}, set("20-global", s.source.host+"/team", s.first.host+"/copy"))
		s.pullSecret(ctx, s.source.host)
		s.expectPulled(ctx, s.source.host+"/team/app"+digest)
		s.expectAsked(s.first)
		Expect(atMirror.all()).To(ContainElement(user + ":" + password))
	}, nodeTimeout)

	DescribeTable("the credentials that a mirror is offered:",
		func(ctx SpecContext, redirected, bearer, insecure bool, server string, want bool) {
			mirror := s.first
			if insecure {
				mirror = s.mirror
			}
			mirror.push(ctx, "copy/app", image)
			atMirror, atTokens := &offered{}, &offered{}
			if bearer {
				atMirror, atTokens = s.wantToken(mirror, false)
			} else {
				atMirror = wantBasic(mirror)
			}
			source := s.source.host
			part := "server = "
			if redirected {
				source += "/team"
				part = mirrored("0")
			}
			to := mirror.host + "/copy"
			if !redirected {
				mirror.push(ctx, "copy/team/app", image)
			}
			s.apply(ctx, []string{part}, set("20-global", source, to))
			auth := &criv1.AuthConfig{Username: user, Password: password}
			if server != "" {
				auth.ServerAddress = "https://" + strings.Replace(server, "SOURCE", s.source.host, 1)
			}
			s.seen.forget()
			cri := connect(ctx, s.Socket("/run/containerd/containerd.sock"), "")
			err := cri.pullAs(ctx, s.source.host+"/team/app"+digest, auth)
			s.report()
			given := fmt.Sprint(append(atMirror.all(), atTokens.all()...))
			AddReportEntry("offered", given, ReportEntryVisibilityAlways)
			if want {
				Expect(err).NotTo(HaveOccurred())
				Expect(given).To(ContainSubstring(user + ":" + password))
			} else {
				Expect(err).To(HaveOccurred(), "the source does not have it")
				Expect(given).NotTo(ContainSubstring(password))
			}
		},
		func(redirected, bearer, insecure bool, server string, want bool) string {
			way, kind := "of a whole registry", "Basic"
			if redirected {
				way = "of a namespace"
			}
			if insecure {
				way += " that is insecure, so that it is streamed,"
			}
			if bearer {
				kind = "Bearer"
			}
			secret := "a secret without a server address"
			if server != "" {
				secret = "a secret for the source only"
			}
			return fmt.Sprintf("one %s that wants %s, with %s: %t", way, kind, secret, want)
		},
		Entry(nil, false, false, false, "", true, nodeTimeout),
		Entry(nil, false, false, false, "SOURCE", false, nodeTimeout),
		Entry(nil, false, true, false, "", true, nodeTimeout),
		Entry(nil, false, true, false, "SOURCE", false, nodeTimeout),
		Entry(nil, true, false, false, "", true, nodeTimeout),
		Entry(nil, true, false, false, "SOURCE", false, nodeTimeout),
		Entry(nil, true, true, false, "", true, nodeTimeout),
		Entry(nil, true, true, false, "SOURCE", false, nodeTimeout),
		// Nobody else has the image, so that containerd comes to what stands behind the redirector's entries.
		Entry(nil, false, false, true, "", true, nodeTimeout),
		Entry(nil, false, false, true, "SOURCE", false, nodeTimeout),
		Entry(nil, true, false, true, "", false, nodeTimeout),
		Entry(nil, true, true, true, "", false, nodeTimeout),
	)
})

// names returns what is in a folder.
func names(folder string) (all []string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}
