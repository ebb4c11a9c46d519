// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/cluster"
)

const (
	canaryLabel = "mirrorset.test/canary"
	// soak is how long canaries try a change.
	soak = 3 * time.Second
	// redirectorPort is not the one that the agent of the shared node has, as all nodes share the machine's network.
	redirectorPort = "1289"
)

// canaries are the nodes that are some where a spec says nothing else: the real one, and two more.
var canaries = []string{"fleet-01", lastCanary, cluster.NodeName}

// lastCanary is the one that stays away where a stage is not to end before the spec says so.
const lastCanary = "fleet-02"

// rollout is a fleet whose changes go by stages, with an image that a container of the real node runs from a mirror, and with a registry that
// is blocked all the time and asked for all the time.
type rollout struct {
	*fleet
	*chronicle
	seen                   *traffic
	source, mirror, closed *countedRegistry
	running, pulled        string       // images of the source, the one that a container runs and the one that is pulled
	open, shut             *pulls       // of the latter, and of what is blocked
	instead                atomic.Int64 // requests for what is blocked at its mirror
}

func startRollout(ctx context.Context) *rollout {
	GinkgoHelper()
	r := &rollout{seen: &traffic{}, fleet: startFleetOf(ctx, fleetOptions{size: fleetSize, hosts: siteHosts, environment: []string{
		"MIRRORSET_CANARY_SELECTOR=" + canaryLabel + "=yes", "MIRRORSET_CANARY_SOAK=" + soak.String(), "MIRRORSET_REDIRECTOR_PORT=" + redirectorPort,
	}})}
	r.source, r.mirror, r.closed = r.registry("source"), r.registry("first"), r.registry("second")
	r.mirror.answer = func(_ http.ResponseWriter, request *http.Request) bool {
		if strings.Contains(request.URL.Path, "/nothing/") {
			r.instead.Add(1)
		}
		return false
	}
	r.haveCanaries(ctx, canaries...)
	running, digest := newImage(ctx)
	pulled := tinyImage()
	hash, err := pulled.Digest()
	Expect(err).NotTo(HaveOccurred())
	r.running, r.pulled = r.source.host+"/team/app"+digest, r.source.host+"/team/pulled@"+hash.String()
	for repository, image := range map[string]v1.Image{"app": running, "pulled": pulled} {
		r.source.push(ctx, "team/"+repository, image)
		r.mirror.push(ctx, "copy/team/"+repository, image)
		r.closed.push(ctx, repository, image)
	}
	r.seen.forget()

	r.apply(ctx, r.good("copy"), never("90-airgap", r.closed.host, r.mirror.host+"/nothing"))
	r.expectApplied(ctx, "20-global", beApplied())
	r.expectApplied(ctx, "90-airgap", beApplied())
	r.expectFollowed(ctx, convergeTimeout)
	r.chronicle = r.fleet.chronicle()
	expectRunning(ctx, r.Cluster, createPod(ctx, r.Cluster, r.running, true))
	cri := connect(ctx, r.Socket("/run/containerd/containerd.sock"), "")
	r.open = startPulls(func(ctx context.Context) error { return cri.pull(ctx, r.pulled) })
	r.shut = startPulls(func(ctx context.Context) error { return cri.pull(ctx, r.closed.host+"/pulled@"+hash.String()) })
	return r
}

// registry starts one whose certificate the nodes trust.
func (r *rollout) registry(name string) *countedRegistry {
	GinkgoHelper()
	certificate, err := r.Certificate(name + ".site.test")
	Expect(err).NotTo(HaveOccurred())
	return startTLSRegistry(name, name+".site.test", certificate, nil, r.seen)
}

// good is the set that specs change, with the mirrors that have the images behind another one, which has nothing.
func (r *rollout) good(first string) string {
	return set("20-global", r.source.host, slices.Compact([]string{r.mirror.host + "/" + first, r.mirror.host + "/copy"})...)
}

// typo is the same with a mirror that was misspelt, and with a policy that lets nothing else serve the images.
func (r *rollout) typo(mirror string) string {
	return never("20-global", r.source.host, r.mirror.host+"/"+mirror)
}

// try makes a change, and waits until all canaries but the last have it, which the change waits for. It returns these. The spec starts the last one.
func (r *rollout) try(ctx context.Context, marker string) (trying []string) {
	GinkgoHelper()
	r.stop(lastCanary)
	trying = slices.DeleteFunc(slices.Clone(canaries), func(name string) bool { return name == lastCanary })
	r.apply(ctx, r.good(marker))
	r.expectTried(ctx, "/"+marker, trying...)
	return trying
}

// haveCanaries has these nodes be the canaries, and no others.
func (r *rollout) haveCanaries(ctx context.Context, names ...string) {
	GinkgoHelper()
	var nodes corev1.NodeList
	Expect(r.objects.List(ctx, &nodes)).To(Succeed())
	for i := range nodes.Items {
		name := nodes.Items[i].Name
		_, is := nodes.Items[i].Labels[canaryLabel]
		switch want := slices.Contains(names, name); {
		case want && !is:
			r.kubectl(ctx, "label", "node", name, canaryLabel+"=yes")
		case !want && is:
			r.kubectl(ctx, "label", "node", name, canaryLabel+"-")
		}
	}
}

// runs has a node without containerd run a container of an image, as CRI-O notes it for the low-level runtime.
func (r *rollout) runs(name, image string) {
	GinkgoHelper()
	const authorities = "/etc/ssl/certs/ca-certificates.crt" // of the real node, which trusts the registries
	bundle, err := os.ReadFile(r.Socket(authorities))
	Expect(err).NotTo(HaveOccurred())
	put(r.agents[name].root+authorities, string(bundle))
	put(r.agents[name].root+"/run/containers/storage/overlay-containers/1/userdata/config.json", fmt.Sprintf(`{"annotations": {"io.kubernetes.cri-o.ImageName": %q}}`, image))
}

// usualCanaries has the usual ones be the canaries again after a spec.
func (r *rollout) usualCanaries() {
	DeferCleanup(func(ctx SpecContext) { r.haveCanaries(ctx, canaries...) }, cleanUpTimeout)
}

// recover has the next spec begin as it expects, after one that failed.
func (r *rollout) recover(ctx context.Context) {
	GinkgoHelper()
	r.haveCanaries(ctx, canaries...)
	for name, agent := range r.agents {
		if agent.process == nil {
			r.start(name)
		}
	}
	_ = r.shell(ctx, "kubectl mirrors rollout resume").Run() // which fails where there is nothing to resume
	r.apply(ctx, r.good("copy"))
	r.expectApplied(ctx, "20-global", beApplied())
}

// killManager has the kernel end the manager, and another one begin at once: the lease of the dead one goes, and so does its Pod, which the kubelet
// would otherwise wait with longer each time. It returns what the dead one had published for all nodes.
func (r *rollout) killManager(ctx context.Context) (given string) {
	GinkgoHelper()
	before := r.managerPod(ctx)
	Expect(r.killProcess(ctx, "manager")).To(Succeed())
	r.kubectl(ctx, "delete", "pods", "-n", namespace, "-l", "app.kubernetes.io/component=manager", "--grace-period=0", "--force")
	configMap, err := r.Client.CoreV1().ConfigMaps(namespace).Get(ctx, payload.ConfigMapName, metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	published, err := payload.Read(configMap)
	Expect(err).NotTo(HaveOccurred())
	r.kubectl(ctx, "delete", "lease", "-n", namespace, "--all")
	started := time.Now()
	Eventually(func() string {
		return r.kubectl(ctx, "get", "lease", "-n", namespace, "--ignore-not-found", "mirrorset-manager", "-o", "jsonpath={.spec.holderIdentity}")
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(50 * time.Millisecond).Should(And(HavePrefix("mirrorset-manager-"), Not(HavePrefix(before))))
	reportTime("another manager had the lease after", started)
	return string(published.Text)
}

func (r *rollout) managerPod(ctx context.Context) string {
	GinkgoHelper()
	return r.kubectl(ctx, "get", "pods", "-n", namespace, "-l", "app.kubernetes.io/component=manager", "-o", "jsonpath={.items[*].metadata.name}")
}
