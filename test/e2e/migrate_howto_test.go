// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("A node whose certs.d was written by hand", func() {
	It("is migrated by the commands of docs/how-to/migrate.md, and has its images from the mirror at each step", func(ctx SpecContext) {
		s := newScene(ctx)
		folder := certsDir + "/" + s.source.host
		byHand := fmt.Sprintf("server = %q\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n", "http://"+s.source.host, "http://"+s.mirror.host+"/v2/hub")
		put(s.Path(folder+"/hosts.toml"), byHand)
		copied := GinkgoT().TempDir()
		put(filepath.Join(copied, "certs.d", s.source.host, "hosts.toml"), byHand)
		DeferCleanup(func(ctx SpecContext) {
			s.deleteSets(ctx)
			Expect(os.RemoveAll(s.Path(folder))).To(Succeed())
		}, cleanUpTimeout)
		s.source.stop() // so that nothing but the mirror can serve
		fromMirror := func(step string) {
			GinkgoHelper()
			By("pulling " + step)
			image, digest := newImage(ctx)
			s.mirror.push(ctx, "hub/app", image)
			s.expectPulled(ctx, s.source.host+"/app"+digest)
			Expect(s.seen.asked()).To(Equal([]string{s.mirror.name}), step)
		}
		_, section, _ := strings.Cut(howTo("migrate.md"), "\n## From hand-written certs.d\n")
		section, _, _ = strings.Cut(section, "\n## ")
		commands := blocksOf(section, "bash")
		Expect(commands).To(HaveLen(3))
		here := func(block string) {
			GinkgoHelper()
			cmd := s.shell(ctx, "set -e\n"+block)
			cmd.Dir = copied
			AddReportEntry("the commands printed", run(cmd))
		}

		fromMirror("by the file that was written by hand")
		here(commands[0])
		s.logged(ctx, "agent", "ForeignFolder", "registry "+s.source.host)
		fromMirror("with the sets applied and the file still there")

		onNode := strings.ReplaceAll(commands[1], "/etc/containerd/certs.d/docker.io", folder)
		Expect(onNode).To(ContainSubstring(folder))
		started := time.Now()
		out, err := s.Exec(ctx, "bash", "-ec", onNode)
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		Eventually(s.containerdAsks).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(5 * time.Millisecond).Should(Equal([]string{s.mirror.host, s.source.host}))
		reportTime("the set was written after", started)
		here(commands[2])
		fromMirror("by the sets")
	}, nodeTimeout)
})
