// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/hack/bundle/olm"
	"github.com/mirrorset/mirrorset/test/controlplane"
	"github.com/mirrorset/mirrorset/test/rights"
)

// unused are rights that the test does not use, with the code that uses them.
var unused = map[string]string{
	"mirrorset-manager: create customresourcedefinitions.apiextensions.k8s.io/mirrornodes.mirrorset.io": "OLM brings this CRD; where others install, the manager does",
	"mirrorset-manager: patch events.events.k8s.io":                                                     "takes the same event of a set or a node twice within minutes",
}

// perhaps is a right that the test takes or not: the manager says of a new node that no agent has reported from it, unless the agent is faster.
const perhaps = "mirrorset-manager: patch mirrornodes/status.mirrorset.io"

// expectNothingForbidden looks at what the API server answered to the accounts of the installation, and at what the programs said of it.
func expectNothingForbidden(processes ...*controlplane.Process) {
	GinkgoHelper()
	requests, err := plane.Requests()
	Expect(err).NotTo(HaveOccurred())
	for _, r := range requests {
		if strings.HasPrefix(r.User.Name, "system:serviceaccount:"+namespace+":") {
			Expect(r.Status.Code).NotTo(Equal(http.StatusForbidden), "%s: %s %s", r.User.Name, r.Verb, r.URI)
		}
	}
	for _, p := range processes {
		Expect(p.Log()).NotTo(ContainSubstring("forbidden"))
	}
}

// expectRights compares what the accounts may do with what they did.
func expectRights(bundle *olm.Bundle) {
	GinkgoHelper()
	requests, err := plane.Requests()
	Expect(err).NotTo(HaveOccurred())
	var granted []rights.Right
	install := bundle.CSV.Spec.Install.Spec
	for _, p := range slices.Concat(install.Permissions, install.ClusterPermissions) {
		granted = append(granted, rights.Of(rights.Right{Account: p.ServiceAccountName}, p.Rules)...)
	}
	idle, lacking := rights.Compare(granted, namespace, requests)
	Expect(lacking).To(BeEmpty(), "what was asked for, and is not granted by the bundle")
	idle = slices.DeleteFunc(idle, func(right string) bool { return right == perhaps })
	Expect(idle).To(ConsistOf(slices.Collect(maps.Keys(unused))), "what is granted and not used; unused has the exceptions")
}
