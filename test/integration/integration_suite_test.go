// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package integration_test runs the programs as they are, each with the rights of its own service account, against a real
// kube-apiserver, and looks at the file on the node.
package integration_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// What all specs share.
var (
	plane *controlplane.ControlPlane
	admin client.WithWatch
)

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	suite, reporter := GinkgoConfiguration()
	suite.Timeout = 30 * time.Minute // sooner than go test's, which would leave processes behind
	RunSpecs(t, "Integration", suite, reporter)
}

var _ = BeforeSuite(func(ctx SpecContext) {
	log.SetLogger(GinkgoLogr)
	SetDefaultEventuallyTimeout(time.Minute) // a busy machine takes long; what is awaited comes sooner
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	SetDefaultConsistentlyPollingInterval(20 * time.Millisecond)
	var err error
	plane, err = startPlane()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return plane.Stop() })
	Expect(plane.InstallAll(ctx)).To(Succeed())
	admin, err = newClient(plane.Config)
	Expect(err).NotTo(HaveOccurred())
})

// Each spec has the cluster to itself, and leaves it without sets and without what was published. Processes are ended first,
// because what is registered last is cleaned up first.
var _ = BeforeEach(func() {
	DeferCleanup(func(ctx SpecContext) {
		Expect(admin.DeleteAllOf(ctx, &configv1.ImageDigestMirrorSet{})).To(Succeed())
		Expect(admin.DeleteAllOf(ctx, &configv1.ImageTagMirrorSet{})).To(Succeed())
		cm := &corev1.ConfigMap{ObjectMeta: configMapMeta}
		Expect(client.IgnoreNotFound(admin.Delete(ctx, cm))).To(Succeed())
		Expect(admin.DeleteAllOf(ctx, &appsv1.ControllerRevision{}, client.InNamespace(controlplane.Namespace), client.MatchingLabels(history.Labels))).To(Succeed())
		Expect(admin.DeleteAllOf(ctx, &coordinationv1.Lease{}, client.InNamespace(controlplane.Namespace))).To(Succeed())
		Expect(admin.DeleteAllOf(ctx, &corev1.Node{})).To(Succeed())
		Expect(admin.DeleteAllOf(ctx, &mirrorsetv1alpha1.MirrorNode{})).To(Succeed()) // nobody collects garbage here
	})
})

var configMapMeta = metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: payload.ConfigMapName}

func startPlane() (*controlplane.ControlPlane, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		if err := os.Setenv("KUBEBUILDER_ASSETS", filepath.Join(root, "bin/k8s")); err != nil {
			return nil, err
		}
	}
	return controlplane.Start(root)
}

func newClient(config *rest.Config) (client.WithWatch, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // the tests are not to wait for themselves
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensionsv1.AddToScheme, configv1.AddToScheme, mirrorsetv1alpha1.AddToScheme} {
		if err := add(types); err != nil {
			return nil, err
		}
	}
	return client.NewWithWatch(config, client.Options{Scheme: types})
}

// long is for specs that take half a minute or more. They start first, so that none goes on alone in the end.
const long = SpecPriority(1)

// alone is for a manager that needs no lease, and so starts at once.
const alone = "--leader-elect=false"

func startManager(ctx context.Context, args ...string) *controlplane.Process {
	GinkgoHelper()
	p, err := plane.StartManager(ctx, args...)
	Expect(err).NotTo(HaveOccurred())
	return track("manager", p)
}

func startAgent(ctx context.Context, n *node, args ...string) *controlplane.Process {
	GinkgoHelper()
	p, err := plane.StartAgent(ctx, n.root, "node-1", append(args, redirectorPort())...)
	Expect(err).NotTo(HaveOccurred())
	return track("agent", p)
}

// redirectorPort is for agents on nodes with containerd. Several processes run specs at once, beside the nodes of other tests.
func redirectorPort() string {
	return fmt.Sprintf("--redirector-port=%d", 2890+GinkgoParallelProcess())
}

// track ends the process after the spec, and shows its log if the spec failed.
func track(name string, p *controlplane.Process) *controlplane.Process {
	DeferCleanup(func() {
		p.Kill()
		if CurrentSpecReport().Failed() {
			AddReportEntry("log of "+name, p.Log())
		}
	})
	return p
}

// startNode starts a manager, and an agent on a node of its own.
func startNode(ctx context.Context) *node {
	GinkgoHelper()
	n := newNode()
	startManager(ctx, alone)
	startAgent(ctx, n)
	return n
}
