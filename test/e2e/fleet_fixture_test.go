// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/test/cluster"
)

// fleet is Mirrorset on a cluster of its own with many nodes. But for the first they have no kubelet: such a node is a Node, the
// Pod that the DaemonSet has on it and that never starts but is said to be Ready, and an agent beside it with a folder for a host and a
// token of that Pod.
// The agents end, and the folders go, with the cluster.
type fleet struct {
	*operator
	objects client.Client
	agents  map[string]*fleetAgent
	options fleetOptions
}

// fleetOptions say what a fleet is of.
type fleetOptions struct {
	// size is how many nodes there are beside the first.
	size int
	// checkout is the folder that has the programs in bin; left empty, it is this one.
	checkout string
	// hosts are names that the nodes find at these addresses.
	hosts map[string]string
	// environment is that of the manager, and of the agents beside the first.
	environment []string
}

// firstFleetUser is the user of the first agent besides that of the real node. Each agent has its own user: the kernel gives a user 128 inotify instances,
// which are not enough for two fleets of root's.
const firstFleetUser = 200_000

type fleetAgent struct {
	root, kubeconfig string
	user             uint32
	process          *cluster.Process // nil while it is stopped
}

// startFleet returns one whose agents have all reported.
func startFleet(ctx context.Context, size int, environment ...string) *fleet {
	GinkgoHelper()
	return startFleetOf(ctx, fleetOptions{size: size, environment: environment})
}

// startFleetOf is [startFleet] with all that can be chosen.
func startFleetOf(ctx context.Context, options fleetOptions) *fleet {
	GinkgoHelper()
	started := time.Now()
	c, err := cluster.Start(ctx, cluster.Options{Programs: programs(), Log: GinkgoWriter, Hosts: options.hosts})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { stopCluster(c) })
	f := &fleet{operator: &operator{Cluster: c, environment: options.environment}, agents: map[string]*fleetAgent{}, options: options}
	if options.checkout == "" {
		f.importImage(ctx)
	} else {
		Expect(f.Import(ctx, packImage(ctx, "e2e", options.checkout))).To(Succeed())
	}
	f.applyManifests(ctx, "e2e")
	f.expectReady(ctx)
	log.SetLogger(GinkgoLogr) // or else the client complains
	scheme := apiruntime.NewScheme()
	for _, add := range []func(*apiruntime.Scheme) error{corev1.AddToScheme, configv1.AddToScheme, mirrorsetv1alpha1.AddToScheme} {
		Expect(add(scheme)).To(Succeed())
	}
	config := rest.CopyConfig(c.Config)
	config.QPS = -1 // the specs are not to wait for themselves
	f.objects, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	reportTime("a node with Mirrorset was there after", started)

	started = time.Now()
	var names []string
	for i := range options.size {
		names = append(names, fmt.Sprintf("fleet-%02d", i+1))
	}
	f.join(ctx, names...)
	reportTime(fmt.Sprintf("%d more agents had reported after", options.size), started)
	return f
}

// join adds nodes, and waits until their agents have reported.
func (f *fleet) join(ctx context.Context, names ...string) {
	GinkgoHelper()
	for _, name := range names {
		Expect(f.objects.Create(ctx, emptyNode(name))).To(Succeed())
	}
	for _, name := range names {
		f.prepare(ctx, name)
		f.start(name)
	}
	for _, name := range names {
		Eventually(f.node).WithArguments(ctx, name).WithTimeout(convergeTimeout).WithPolling(100*time.Millisecond).
			Should(HaveField("Status.Runtimes", HaveExactElements("CRI-O")), name)
	}
}

// emptyNode is a Node that takes Pods of DaemonSets and no others.
func emptyNode(name string) *corev1.Node {
	room := corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("1Gi"), "pods": resource.MustParse("10")}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelOSStable: "linux", corev1.LabelHostname: name}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "mirrorset.test/no-kubelet", Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{
			NodeInfo: corev1.NodeSystemInfo{ContainerRuntimeVersion: "cri-o://1.34.0"},
			Capacity: room, Allocatable: room,
		},
	}
}

// prepare makes the host of a node, and gives its agent the token that a kubelet would.
func (f *fleet) prepare(ctx context.Context, name string) {
	GinkgoHelper()
	folder := filepath.Join(f.Dir(), "fleet", name)
	a := &fleetAgent{root: filepath.Join(folder, "root"), kubeconfig: filepath.Join(folder, "kubeconfig"), user: firstFleetUser + uint32(len(f.agents))}
	f.agents[name] = a
	// In this order, CRI-O was started after all that it has to know was there.
	Expect(os.MkdirAll(filepath.Dir(a.root+dropIn), 0o755)).To(Succeed())
	put(a.root+"/etc/crio/crio.conf.d/10-reload.conf", "[crio.image]\nauto_reload_registries = true\n")
	Expect(os.MkdirAll(a.root+"/run/crio", 0o755)).To(Succeed())
	Expect(syscall.Mknod(a.root+"/run/crio/crio.sock", syscall.S_IFSOCK|0o600, 0)).To(Succeed())

	Expect(clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"fleet": {Server: f.Config.Host, CertificateAuthorityData: f.Config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {Token: f.token(ctx, name)}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: "fleet", AuthInfo: name}},
		CurrentContext: name,
	}, a.kubeconfig)).To(Succeed())
}

// setReady does as a kubelet with the agent's Pod on a node, which it waits for.
func (f *fleet) setReady(ctx context.Context, node string, ready corev1.ConditionStatus) *corev1.Pod {
	GinkgoHelper()
	var pods corev1.PodList
	Eventually(func(g Gomega) {
		g.Expect(f.objects.List(ctx, &pods, client.InNamespace(namespace), client.MatchingFields{"spec.nodeName": node})).To(Succeed())
		g.Expect(pods.Items).To(HaveLen(1))
		pod := &pods.Items[0]
		pod.Status.Conditions = slices.DeleteFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady })
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: ready, LastTransitionTime: metav1.Now()})
		g.Expect(f.objects.Status().Update(ctx, pod)).To(Succeed())
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(100 * time.Millisecond).Should(Succeed())
	return &pods.Items[0]
}

// token returns one that is bound to the agent's Pod on a node.
func (f *fleet) token(ctx context.Context, node string) string {
	GinkgoHelper()
	pod := f.setReady(ctx, node, corev1.ConditionTrue)
	token := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pod.Spec.ServiceAccountName}}
	Expect(f.objects.SubResource("token").Create(ctx, account, token)).To(Succeed())
	return token.Status.Token
}

func (f *fleet) start(name string) {
	GinkgoHelper()
	program, err := filepath.Abs(filepath.Join(cmp.Or(f.options.checkout, "../.."), "bin", "linux-"+runtime.GOARCH, "agent")) // the one of the image
	Expect(err).NotTo(HaveOccurred())
	a := f.agents[name]
	a.process, err = f.RunAs(a.user, name, program, append([]string{"KUBECONFIG=" + a.kubeconfig}, f.options.environment...), "--host-root="+a.root, "--node-name="+name, "--namespace="+namespace, "--manager=mirrorset-manager")
	Expect(err).NotTo(HaveOccurred())
}

// stop ends an agent, which is started again after the spec at the latest.
func (f *fleet) stop(name string) {
	GinkgoHelper()
	DeferCleanup(func() {
		if f.agents[name].process == nil {
			f.start(name)
		}
	})
	Expect(f.agents[name].process.End()).To(Succeed())
	f.agents[name].process = nil
}

// remove takes a node away again.
func (f *fleet) remove(ctx context.Context, name string) {
	GinkgoHelper()
	Expect(f.agents[name].process.End()).To(Succeed())
	delete(f.agents, name)
	f.kubectl(ctx, "delete", "node", name)
	f.kubectl(ctx, "wait", "--for=delete", kubectlTimeout, "mirrornode/"+name)
}

// deleteSets is for the end of a spec.
func (f *fleet) deleteSets(ctx context.Context) {
	GinkgoHelper()
	Expect(f.objects.DeleteAllOf(ctx, &configv1.ImageDigestMirrorSet{})).To(Succeed())
	Eventually(f.dropIns).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(200 * time.Millisecond).Should(HaveEach(BeEmpty()))
}

// dropIns returns those of all nodes, by the node's name; empty where there is none.
func (f *fleet) dropIns() map[string]string {
	GinkgoHelper()
	all := map[string]string{}
	read := func(name, path string) {
		text, err := os.ReadFile(path)
		if !os.IsNotExist(err) {
			Expect(err).NotTo(HaveOccurred())
		}
		all[name] = string(text)
	}
	read(cluster.NodeName, f.Path(dropIn))
	for name, agent := range f.agents {
		read(name, agent.root+dropIn)
	}
	return all
}

// expectFollowed waits until each node says what the sets say, in the eyes of `kubectl mirrors render`.
func (f *fleet) expectFollowed(ctx context.Context, timeout time.Duration) {
	GinkgoHelper()
	file := filepath.Join(GinkgoT().TempDir(), "sets.yaml")
	put(file, f.kubectl(ctx, "get", "idms", "-o", "yaml"))
	want := runPlugin(ctx, "render", "-f", file)
	Eventually(f.dropIns).WithContext(ctx).WithTimeout(timeout).WithPolling(100 * time.Millisecond).Should(HaveEach(want))
}

// node returns what a node says of itself; nothing where it is not there.
func (f *fleet) node(ctx context.Context, name string) mirrorsetv1alpha1.MirrorNode {
	GinkgoHelper()
	var node mirrorsetv1alpha1.MirrorNode
	Expect(client.IgnoreNotFound(f.objects.Get(ctx, client.ObjectKey{Name: name}, &node))).To(Succeed())
	return node
}

// revisions returns how many nodes say that they have a revision in force.
func (f *fleet) revisions(ctx context.Context) map[int64]int {
	GinkgoHelper()
	var nodes mirrorsetv1alpha1.MirrorNodeList
	Expect(f.objects.List(ctx, &nodes)).To(Succeed())
	found := map[int64]int{}
	for i := range nodes.Items {
		found[nodes.Items[i].Status.Revision]++
	}
	return found
}
