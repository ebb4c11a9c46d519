// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("a CRI-O that does not reload by itself", func() {
	It("is told of each change where the manager runs with --crio-reload, and not otherwise", func(ctx SpecContext) {
		s := newScene(ctx)
		// CRI-O itself is not to be had here. This is a process of root's with its name, which notes the signal.
		folder := filepath.Join(s.Dir(), "crio")
		Expect(os.MkdirAll(folder, 0o755)).To(Succeed())
		DeferCleanup(os.RemoveAll, folder)
		shell, err := os.ReadFile("/bin/bash")
		Expect(err).NotTo(HaveOccurred())
		program, noted := filepath.Join(folder, "crio"), filepath.Join(folder, "noted")
		Expect(os.WriteFile(program, shell, 0o755)).To(Succeed())
		// A shell cannot trap a signal that it was started to ignore, as everything is under nohup.
		crio, err := s.Run("crio", "/usr/bin/env", nil, "--default-signal=HUP", program, "-c", `trap 'echo reload >> "$0"' HUP; while :; do sleep 0.05; done`, noted)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(crio.End)

		s.apply(ctx, []string{s.mirror.host, s.source.host}, set("20-global", s.source.host, s.mirror.host))
		Consistently(noted).WithTimeout(500 * time.Millisecond).ShouldNot(BeAnExistingFile())

		s.setArgument(ctx, "--crio-reload")
		s.apply(ctx, []string{s.second.host, s.source.host}, set("20-global", s.source.host, s.second.host))
		Eventually(noted).WithContext(ctx).WithTimeout(convergeTimeout).Should(BeAnExistingFile())
		s.logged(ctx, "agent", "Told CRI-O to reload its configuration")
	}, nodeTimeout)
})
