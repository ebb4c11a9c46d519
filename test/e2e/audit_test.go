// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/test/cluster"
	"github.com/mirrorset/mirrorset/test/rights"
)

// recorded is what the accounts of Pods asked of the clusters that have ended.
var recorded []rights.Request

// stopCluster keeps the API server's record.
func stopCluster(c *cluster.Cluster) {
	GinkgoHelper()
	requests, err := rights.Read(c.AuditLog())
	Expect(err).NotTo(HaveOccurred())
	recorded = append(recorded, requests...)
	Expect(c.Stop()).To(Succeed())
}

// Whatever the specs have the manager and the agents do, they ask for no more than they may; and all that they may, some spec needs.
var _ = ReportAfterSuite("the rights of Mirrorset's accounts are those that they use", func(report Report) {
	granted, err := rights.Granted("../../dist/install.yaml", "../../config/prometheus/access.yaml")
	Expect(err).NotTo(HaveOccurred())
	idle, lacking := rights.Compare(granted, namespace, recorded)
	Expect(lacking).To(BeEmpty(), "what was asked for, and is not granted")
	whole := !slices.ContainsFunc(report.SpecReports, func(spec SpecReport) bool {
		return spec.State.Is(types.SpecStateSkipped) && !slices.Contains(spec.Labels(), "olm")
	})
	if whole {
		Expect(idle).To(BeEmpty(), "what is granted, and no spec needs")
	}
})
