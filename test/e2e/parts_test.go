// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	v1types "github.com/google/go-containerregistry/pkg/v1/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("a containerd that fetches layers in parts", func() {
	It("gets them from a mirror, redirected and streamed", func(ctx SpecContext) {
		s := newSite(ctx)
		const size, part = 16 << 20, 1 << 20
		config := s.Path("/etc/containerd/config.toml")
		good, err := os.ReadFile(config)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx SpecContext) {
			put(config, string(good))
			Expect(s.RestartContainerd(ctx)).To(Succeed())
		}, cleanUpTimeout)
		put(config, string(good)+fmt.Sprintf("\n[plugins.\"io.containerd.transfer.v1.local\"]\n  concurrent_layer_fetch_buffer = %d\n", part))
		Expect(s.RestartContainerd(ctx)).To(Succeed())

		for repository, mirror := range map[string]*countedRegistry{"redirected": s.first, "streamed": s.mirror} {
			image, _ := newImage(ctx)
			layer, err := random.Layer(size, v1types.DockerLayer)
			Expect(err).NotTo(HaveOccurred())
			image, err = mutate.AppendLayers(image, layer)
			Expect(err).NotTo(HaveOccurred())
			hash, err := image.Digest()
			Expect(err).NotTo(HaveOccurred())
			mirror.push(ctx, "copy/"+repository, image)
			parts := mirror.serveParts()
			s.apply(ctx, []string{mirrored("0")}, never("20-global", s.source.host+"/"+repository, mirror.host+"/copy/"+repository))
			s.expectPulled(ctx, s.source.host+"/"+repository+"@"+hash.String())
			s.expectAsked(mirror)
			AddReportEntry(repository+": parts that began behind the first byte", parts.Load(), ReportEntryVisibilityAlways)
			Expect(parts.Load()).To(BeNumerically(">=", size/part-1))
		}
	}, nodeTimeout)
})

// serveParts has the registry serve what begins at some byte of a blob, as registries do and its own code does not, and counts what
// begins behind the first one.
func (r *countedRegistry) serveParts() *atomic.Int32 {
	parts := &atomic.Int32{}
	r.answer = func(w http.ResponseWriter, req *http.Request) bool {
		from := req.Header.Get("Range")
		if from == "" || !strings.Contains(req.URL.Path, "/blobs/") {
			return false
		}
		if from != "bytes=0-" {
			parts.Add(1)
		}
		all := req.Clone(req.Context())
		all.Header.Del("Range")
		whole := httptest.NewRecorder()
		r.content.ServeHTTP(whole, all)
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(whole.Body.Bytes()))
		return true
	}
	return parts
}
