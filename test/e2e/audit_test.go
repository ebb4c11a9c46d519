// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/test/cluster"
	"github.com/mirrorset/mirrorset/test/rights"
)

// stopCluster keeps the API server's record of what the accounts of Pods asked.
func stopCluster(c *cluster.Cluster) {
	GinkgoHelper()
	record, err := os.ReadFile(c.AuditLog())
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(filepath.Join(records, filepath.Base(c.Dir())), record, 0o600)).To(Succeed())
	Expect(c.Stop()).To(Succeed())
}

// managerGot counts how often managers have got an object, by its name. Those that OLM installed had rights of other names.
func (m *operator) managerGot(name string) (times int) {
	GinkgoHelper()
	requests, err := rights.Read(m.AuditLog())
	Expect(err).NotTo(HaveOccurred())
	for _, r := range requests {
		if r.User.Name == "system:serviceaccount:"+namespace+":mirrorset-manager" && r.Verb == "get" && r.Object.Name == name && r.Status.Code == http.StatusOK {
			times++
		}
	}
	return times
}

// recorded returns all records of all processes.
func recorded() (all []rights.Request) {
	GinkgoHelper()
	if records == "" {
		return nil // the suite did not begin
	}
	files, err := os.ReadDir(records)
	Expect(err).NotTo(HaveOccurred())
	for _, file := range files {
		requests, err := rights.Read(filepath.Join(records, file.Name()))
		Expect(err).NotTo(HaveOccurred())
		all = append(all, requests...)
	}
	return all
}

// writeChartsTest writes the objects that `helm test` creates.
func writeChartsTest(path string) {
	GinkgoHelper()
	objects, err := exec.Command("../../bin/helm", "template", "../../charts/mirrorset", "--namespace", namespace, "--show-only", "templates/tests/check.yaml").Output()
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(path, objects, 0o600)).To(Succeed())
}

// Whatever the specs have the manager and the agents do, they ask for no more than they may; and all that they may, some spec needs.
var _ = ReportAfterSuite("the rights of Mirrorset's accounts are those that they use", func(report Report) {
	defer func() { _ = os.RemoveAll(records) }()
	chartsTest := filepath.Join(os.TempDir(), fmt.Sprintf("mirrorset-chart-%d.yaml", os.Getpid()))
	defer func() { _ = os.Remove(chartsTest) }()
	writeChartsTest(chartsTest)
	granted, err := rights.Granted("../../dist/install.yaml", "../../config/prometheus/access.yaml", chartsTest)
	Expect(err).NotTo(HaveOccurred())
	idle, lacking := rights.Compare(granted, namespace, recorded())
	Expect(lacking).To(BeEmpty(), "what was asked for, and is not granted")
	whole := !slices.ContainsFunc(report.SpecReports, func(spec SpecReport) bool {
		return spec.State.Is(types.SpecStateSkipped) && !slices.Contains(spec.Labels(), "olm")
	})
	if whole {
		Expect(idle).To(BeEmpty(), "what is granted, and no spec needs")
	}
})
