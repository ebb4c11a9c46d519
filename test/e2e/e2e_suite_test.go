// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

// Package e2e tries on real runtimes what the other tests hold against their libraries.
package e2e

import (
	"os"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
)

// What the processes of this run share.
var (
	// kubectlMirrors is the path of the plugin, built for this run.
	kubectlMirrors string
	// ownImage is the archive with Mirrorset's image.
	ownImage string
	// records is a folder for what API servers have recorded.
	records string
)

// longest is for containers that take minutes and run in one process, which had better begin with them.
const longest = SpecPriority(1)

func TestE2E(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Mirrorset on real runtimes")
}

var _ = SynchronizedBeforeSuite(func(ctx SpecContext) (shared []byte) {
	plugin, err := gexec.Build("github.com/mirrorset/mirrorset/cmd/kubectl-mirrors")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(gexec.CleanupBuildArtifacts)
	folder, err := os.MkdirTemp("", "mirrorset-records-")
	Expect(err).NotTo(HaveOccurred())
	return []byte(strings.Join([]string{plugin, packImage(ctx, "e2e", "."), folder}, "\n"))
}, func(ctx SpecContext, shared []byte) {
	all := strings.Split(string(shared), "\n")
	kubectlMirrors, ownImage, records = all[0], all[1], all[2]
	DeferCleanup(stopNode)
}, setUpTimeout)
