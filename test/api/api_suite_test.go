// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package api holds a real kube-apiserver, with the CRDs installed, against the API's reference page: every endpoint, verb,
// parameter and response code there, and what the schema accepts.
package api

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

var (
	plane *controlplane.ControlPlane
	// host is the address of the kube-apiserver, without a slash at the end.
	host string
	// admin is authenticated; stranger has a token that nobody issued; anonymous has no credentials.
	admin, stranger, anonymous *http.Client
)

func TestAPI(t *testing.T) {
	SetDefaultEventuallyTimeout(30 * time.Second)
	RegisterFailHandler(Fail)
	RunSpecs(t, "The APIs of sets")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	root, err := filepath.Abs("../..")
	Expect(err).NotTo(HaveOccurred())
	plane, err = controlplane.Start(root)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return plane.Stop() })
	Expect(plane.InstallAll(ctx)).To(Succeed())

	address, _, err := rest.DefaultServerUrlFor(plane.Config)
	Expect(err).NotTo(HaveOccurred())
	host = address.Scheme + "://" + address.Host
	nobody := rest.AnonymousClientConfig(plane.Config)
	anonymous = clientFor(nobody)
	forged := rest.CopyConfig(nobody)
	forged.BearerToken = "forged"
	stranger = clientFor(forged)
	admin = clientFor(plane.Config)
	for _, kind = range kinds.All {
		Eventually(func() int { return get(collection).status }).Should(Equal(http.StatusOK))
	}
})

// Every spec starts without sets. Where the control plane did not start there is nothing to clean.
var _ = AfterEach(func() {
	for _, kind = range kinds.All {
		send(request{method: http.MethodDelete, path: collection}).expect(http.StatusOK)
		for _, left := range get(collection).list().Items { // those with a finalizer
			send(request{
				method: http.MethodPatch, path: collection + "/" + left.Name, contentType: mergePatch,
				body: `{"metadata":{"finalizers":null}}`,
			}).expect(http.StatusOK)
		}
		Expect(get(collection).list().Items).To(BeEmpty())
	}
})

func clientFor(config *rest.Config) *http.Client {
	client, err := rest.HTTPClientFor(config)
	Expect(err).NotTo(HaveOccurred())
	return client
}
