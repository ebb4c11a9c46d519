// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

// Package e2e tries on real runtimes what the other tests hold against their libraries.
package e2e

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
)

// kubectlMirrors is the path of the plugin, built for this run.
var kubectlMirrors string

func TestE2E(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Mirrorset on real runtimes")
}

var _ = BeforeSuite(func() {
	var err error
	kubectlMirrors, err = gexec.Build("github.com/mirrorset/mirrorset/cmd/kubectl-mirrors")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(gexec.CleanupBuildArtifacts)
	DeferCleanup(stopNode)
})
