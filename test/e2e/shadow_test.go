// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// shadowTimeout is how long a list of images may take to be written: a minute is between two writes (V6).
const shadowTimeout = time.Minute + convergeTimeout

// failing pulls each image, whether or not the node has it, and returns those that the node cannot pull, in byte order.
func failing(ctx context.Context, cri *containerdClient, images []string) (failed []string) {
	for _, image := range images {
		if _, err := cri.again(ctx, image); err != nil {
			failed = append(failed, image)
			GinkgoWriter.Println(image, err)
		}
	}
	slices.Sort(failed)
	return failed
}

var _ = Describe("a set in shadow mode", func() {
	It("lists the images that are refused once it is enforced, and refuses none before", func(ctx SpecContext) {
		s := newSite(ctx)
		cri := connect(ctx, s.Socket("/run/containerd/containerd.sock"), "")
		var images, unmirrored []string
		for _, repository := range []string{"mirrored/one", "mirrored/two", "missing/one", "missing/two", "beside/one", "tagged/one"} {
			image, digest := newImage(ctx)
			s.source.push(ctx, repository, image)
			name := s.source.host + "/" + repository + digest
			switch place, _, _ := strings.Cut(repository, "/"); place {
			case "mirrored":
				s.first.push(ctx, "all/"+repository, image)
			case "beside": // what no set in shadow mode has a say about
			case "tagged":
				name = s.source.host + "/" + repository + ":1"
				fallthrough
			default:
				unmirrored = append(unmirrored, name)
			}
			images = append(images, name)
		}
		slices.Sort(unmirrored)
		watching := strings.Replace(never("30-airgap", s.source.host, s.first.host+"/all"), "  name: 30-airgap", "  name: 30-airgap\n  annotations: {mirrorset.io/enforcement: shadow}", 1)
		s.apply(ctx, []string{mirrored("source"), `server = "https://` + s.source.host}, watching, set("40-beside", s.source.host+"/beside"))

		Expect(failing(ctx, cri, images)).To(BeEmpty(), "while nothing is enforced")
		shadow := func() (status configv1.ShadowStatus) {
			_ = json.Unmarshal([]byte(s.kubectl(ctx, "get", "idms", "30-airgap", "-o", "jsonpath={.status.shadow}")), &status)
			return status
		}
		Eventually(func() []string { return shadow().Images }).WithContext(ctx).WithTimeout(shadowTimeout).WithPolling(time.Second).Should(Equal(unmirrored))
		Expect(*shadow().Nodes).To(BeEquivalentTo(1))
		Expect(*shadow().UnseenNodes).To(BeZero())

		s.kubectl(ctx, "annotate", "idms", "30-airgap", "mirrorset.io/enforcement-")
		Eventually(func() string { return s.files()[certsFolder(s.source.host)+"/hosts.toml"] }).
			WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(20 * time.Millisecond).ShouldNot(ContainSubstring(`"https://` + s.source.host))
		Expect(failing(ctx, cri, images)).To(Equal(unmirrored), "the same pulls, once the set is enforced")
		Eventually(func() string { return s.kubectl(ctx, "get", "idms", "30-airgap", "-o", "jsonpath={.status.shadow}") }).
			WithContext(ctx).WithTimeout(convergeTimeout).Should(BeEmpty())
		AddReportEntry("refused", strings.Join(unmirrored, "\n"), ReportEntryVisibilityAlways)
	}, nodeTimeout)

	It("is watched, looked at and enforced by the commands of docs/how-to/shadow.md", func(ctx SpecContext) {
		s := newSite(ctx)
		image, _ := newImage(ctx)
		s.source.push(ctx, "team/app", image)
		here := strings.NewReplacer("registry.corp.example:5000", s.first.host, "quay.io", s.source.host)
		page := here.Replace(howTo("shadow.md"))
		folder := GinkgoT().TempDir()
		for i, name := range []string{"mirrors.yaml", "enforced.yaml"} {
			put(filepath.Join(folder, name), blocksOf(page, "yaml")[i])
		}
		DeferCleanup(func(ctx SpecContext) { s.deleteSets(ctx) }, cleanUpTimeout)
		run := func(block int) (out string, code int) {
			GinkgoHelper()
			cmd := s.shell(ctx, blocksOf(page, "bash")[block])
			cmd.Dir = folder
			text, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			Expect(err == nil || errors.As(err, &exit)).To(BeTrue(), "%v", err)
			return string(text), cmd.ProcessState.ExitCode()
		}
		out, code := run(0)
		Expect(code).To(BeZero(), out)
		Expect(out).To(ContainSubstring("NeverContactSource of corp[0] is not enforced; if it were, the pull would be refused"))

		reference := s.source.host + "/team/app:1"
		s.expectPulled(ctx, reference)
		Eventually(func() string { out, _ := run(1); return out }).WithContext(ctx).WithTimeout(shadowTimeout).WithPolling(time.Second).Should(
			And(ContainSubstring(`"images":["`+reference+`"],"nodes":1,"unseenNodes":0`), MatchRegexp(`node\t\[\{"count":1,`), MatchRegexp(`(?m)`+regexp.QuoteMeta(reference)+` .* corp `)))

		out, code = run(2) // the last command of which is the one that counts
		Expect(code).To(BeZero(), out)
		Expect(out).To(And(ContainSubstring("<refused>"), ContainSubstring("annotated")))
		s.expectRefusedAfter(ctx, connect(ctx, s.Socket("/run/containerd/containerd.sock"), ""), reference)
	}, nodeTimeout)
})

// expectRefusedAfter waits until an image that the node has is refused to whoever asks for it anew.
func (s *site) expectRefusedAfter(ctx context.Context, cri *containerdClient, reference string) {
	GinkgoHelper()
	Eventually(func() error { _, err := cri.again(ctx, reference); return err }).
		WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(100 * time.Millisecond).Should(MatchError(ContainSubstring("NeverContactSource of set corp")))
}
