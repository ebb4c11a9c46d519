// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/test/cluster"
)

// How long a spec, what is done before it and what is done after it may take. They are no promise of speed: a machine may be busy with other things,
// and each may be what the node is started for.
const (
	nodeTimeout    = SpecTimeout(10 * time.Minute)
	setUpTimeout   = NodeTimeout(10 * time.Minute)
	cleanUpTimeout = NodeTimeout(5 * time.Minute)
)

// The node that specs share, and the image of a program that only waits. The first spec that needs one starts it.
var (
	sharedNode *cluster.Cluster
	idleImage  v1.Image
)

// programs is the folder where `make node` puts them.
func programs() string {
	GinkgoHelper()
	path, err := filepath.Abs("../../bin/k8s")
	Expect(err).NotTo(HaveOccurred())
	return path
}

// node returns the shared node. When the spec fails, its logs are in the report.
func node(ctx context.Context) *cluster.Cluster {
	GinkgoHelper()
	if sharedNode == nil {
		started := time.Now()
		c, err := cluster.Start(ctx, cluster.Options{Programs: programs(), Log: GinkgoWriter, Hosts: siteHosts})
		Expect(err).NotTo(HaveOccurred())
		sharedNode = c
		AddReportEntry("the node was Ready after", time.Since(started).Round(100*time.Millisecond).String(), ReportEntryVisibilityAlways)
	}
	DeferCleanup(func() {
		if CurrentSpecReport().Failed() {
			AddReportEntry("logs of the node", sharedNode.Logs(60), ReportEntryVisibilityFailureOrVerbose)
		}
	})
	return sharedNode
}

// stopNode runs after all specs.
func stopNode() {
	if sharedNode != nil {
		stopCluster(sharedNode)
	}
}

// newImage returns an image that the node cannot have yet. Its program only waits.
func newImage(ctx context.Context) (image v1.Image, digest string) {
	GinkgoHelper()
	var err error
	if idleImage == nil {
		idleImage, err = cluster.NewImage(ctx, cluster.PausePackage)
		Expect(err).NotTo(HaveOccurred())
	}
	layer, err := random.Layer(1024, types.DockerLayer)
	Expect(err).NotTo(HaveOccurred())
	image, err = mutate.AppendLayers(idleImage, layer)
	Expect(err).NotTo(HaveOccurred())
	hash, err := image.Digest()
	Expect(err).NotTo(HaveOccurred())
	return image, "@" + hash.String()
}

// createPod makes a Pod that is deleted after the spec.
func createPod(ctx context.Context, c *cluster.Cluster, image string, hostNetwork bool) *corev1.Pod {
	GinkgoHelper()
	return createPodOf(ctx, c, corev1.PodSpec{HostNetwork: hostNetwork, Containers: []corev1.Container{{Name: "main", Image: image}}})
}

// createPodOf is [createPod] with a specification, of one container.
func createPodOf(ctx context.Context, c *cluster.Cluster, spec corev1.PodSpec) *corev1.Pod {
	GinkgoHelper()
	_, err := name.ParseReference(spec.Containers[0].Image)
	Expect(err).NotTo(HaveOccurred())
	spec.AutomountServiceAccountToken, spec.TerminationGracePeriodSeconds = new(bool), new(int64)
	pods := c.Client.CoreV1().Pods(metav1.NamespaceDefault)
	pod, err := pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}, Spec: spec}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) {
		Expect(pods.Delete(ctx, pod.Name, metav1.DeleteOptions{})).To(Succeed())
	}, cleanUpTimeout)
	return pod
}

// expectRunning waits until the Pod's container runs, and returns the Pod as it is then.
func expectRunning(ctx context.Context, c *cluster.Cluster, pod *corev1.Pod) *corev1.Pod {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var err error
		pod, err = c.Client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(pod.Status.Phase).To(Equal(corev1.PodRunning), "%+v", pod.Status)
		g.Expect(pod.Status.ContainerStatuses).To(HaveLen(1))
		g.Expect(pod.Status.ContainerStatuses[0].Ready).To(BeTrue())
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(200 * time.Millisecond).Should(Succeed())
	return pod
}

// onNode writes a file of the node that is removed after the spec.
func onNode(c *cluster.Cluster, path, text string) {
	GinkgoHelper()
	put(c.Path(path), text)
	DeferCleanup(os.Remove, c.Path(path))
}
