// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// shadowTimeout is how long a list of images may take to be written: a minute lies between two writes (V6).
const shadowTimeout = 90 * time.Second

// failing pulls each image, whether or not the node has it, and returns those that cannot be had, in byte order.
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
})
