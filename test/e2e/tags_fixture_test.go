// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
)

// tagSet is the manifest of a set for tags with one entry.
func tagSet(name, source string, mirrors ...string) string {
	return strings.NewReplacer("ImageDigestMirrorSet", "ImageTagMirrorSet", "imageDigestMirrors", "imageTagMirrors").Replace(set(name, source, mirrors...))
}

// tagNever is [tagSet] with the policy NeverContactSource.
func tagNever(name, source string, mirrors ...string) string {
	return tagSet(name, source, mirrors...) + "    mirrorSourcePolicy: NeverContactSource\n"
}

// expectPulledFrom has a Pod start from an image that the node does not have, wants that these registries were asked, in this order, and no
// others, and reports how often.
func (s *site) expectPulledFrom(ctx context.Context, reference string, registries ...*countedRegistry) {
	GinkgoHelper()
	s.expectPulled(ctx, reference)
	s.reportAll()
	s.expectAsked(registries...)
}

// reportAll reports the counters of all registries over TLS.
func (s *site) reportAll() {
	s.seen.report([]*countedRegistry{s.source, s.first, s.second, s.third})
}

// expectAlways has a Pod start that asks for its image whether the node has it or not, and wants this one.
func (s *site) expectAlways(ctx context.Context, reference, digest string) {
	GinkgoHelper()
	s.seen.forget()
	pod := createPodOf(ctx, s.Cluster, corev1.PodSpec{
		HostNetwork: true, Containers: []corev1.Container{{Name: "main", Image: reference, ImagePullPolicy: corev1.PullAlways}},
	})
	Expect(expectRunning(ctx, s.Cluster, pod).Status.ContainerStatuses[0].ImageID).To(HaveSuffix(digest))
	s.reportAll()
}

// pushIndex puts an index at host/repository:1 that has the image for this machine, and another one for another.
func (r *countedRegistry) pushIndex(ctx context.Context, repository string, image v1.Image) {
	GinkgoHelper()
	other, _ := newImage(ctx)
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: other, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}},
		mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}})
	r.pushBy(ctx, repository, func(ref reference, options ...remote.Option) error { return remote.WriteIndex(ref, index, options...) })
}

// dieAfterTag has a registry answer until it named what a tag is, and then refuse all connections.
func dieAfterTag(r *countedRegistry) {
	var dead sync.Once
	r.answer = func(_ http.ResponseWriter, req *http.Request) bool {
		if byDigest(req) {
			dead.Do(func() { _ = r.server.Listener.Close() }) // the server closes it again
			panic(http.ErrAbortHandler)
		}
		return false
	}
}

// holdContent has a registry hold back all that is asked for by digest. Asked is closed when the first is.
func holdContent(r *countedRegistry) (asked chan struct{}, release func()) {
	asked, released := make(chan struct{}), make(chan struct{})
	var first sync.Once
	r.answer = func(_ http.ResponseWriter, req *http.Request) bool {
		if byDigest(req) {
			first.Do(func() { close(asked) })
			select {
			case <-released:
			case <-req.Context().Done():
			}
		}
		return false
	}
	release = sync.OnceFunc(func() { close(released) })
	DeferCleanup(release)
	return asked, release
}

// byDigest reports whether a manifest by digest, or a blob, is asked for.
func byDigest(r *http.Request) bool {
	return strings.Contains(r.URL.Path, "/sha256:")
}
