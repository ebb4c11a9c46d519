// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	criv1 "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/cluster"
	"github.com/mirrorset/mirrorset/test/conformance"
)

// judges is a node whose containerds follow the files of an agent, and registries that record what they are asked. No
// manager runs: the rules are published by the specs.
type judges struct {
	*cluster.Cluster
	*recorder
	agent      *cluster.Process
	containerd map[string]*containerdClient // by the name of a judge

	inForce  string   // the name of a case
	found    []string // where it found tags so far
	revision int64
	pulls    int
}

// The judges: containerd as it is built for the node, and Debian's.
const (
	newContainerd    = "containerd 2"
	debianContainerd = "containerd 1.6"
)

// debianContainerdConfig has nothing in common with the other containerd but the folder of registries.
const debianContainerdConfig = `version = 2
root = "%s"
state = "/run/containerd-debian"
required_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
  address = "/run/containerd-debian/containerd.sock"

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
`

// startJudges starts a cluster of its own.
func startJudges(ctx context.Context, cases []conformance.Case) *judges {
	GinkgoHelper()
	names, ports := hostsOf(cases)
	seen, listeners, err := freeRecorder(ports)
	Expect(err).NotTo(HaveOccurred())
	options := cluster.Options{Programs: programs(), Log: GinkgoWriter, Hosts: map[string]string{}}
	for _, name := range names {
		options.Hosts[name] = seen.address
	}
	c, err := cluster.Start(ctx, options)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(c.Stop()).To(Succeed()) })
	certificate, err := c.Certificate(names...)
	Expect(err).NotTo(HaveOccurred())
	seen.start(listeners, certificate)
	DeferCleanup(func(ctx SpecContext) { Expect(seen.stop(ctx)).To(Succeed()) }, cleanUpTimeout)

	j := &judges{Cluster: c, recorder: seen, containerd: map[string]*containerdClient{}}
	j.startAgent(ctx)
	startDebianContainerd(c)
	j.containerd[newContainerd] = connect(ctx, c.Socket("/run/containerd/containerd.sock"), "2.")
	j.containerd[debianContainerd] = connect(ctx, c.Socket("/run/containerd-debian/containerd.sock"), "1.6.")
	return j
}

// startDebianContainerd starts Debian's containerd beside that of the node.
func startDebianContainerd(c *cluster.Cluster) *cluster.Process {
	GinkgoHelper()
	config := filepath.Join(c.Dir(), "containerd-debian.toml")
	put(config, fmt.Sprintf(debianContainerdConfig, filepath.Join(c.Dir(), "containerd-debian")))
	debian, err := filepath.Abs("../../bin/debian/usr/bin/containerd")
	Expect(err).NotTo(HaveOccurred())
	Expect(debian).To(BeAnExistingFile(), "make debian-containerd")
	process, err := c.Run("containerd-debian", debian, nil, "--config", config)
	Expect(err).NotTo(HaveOccurred())
	return process
}

// hostsOf returns the names and the ports of all registries that the cases name.
func hostsOf(cases []conformance.Case) (names, ports []string) {
	GinkgoHelper()
	names, ports = []string{"registry-1.docker.io"}, []string{"443", "80"}
	for i := range cases {
		hosts, err := cases[i].Hosts()
		Expect(err).NotTo(HaveOccurred())
		for _, host := range hosts {
			name, port, hasPort := strings.Cut(host, ":")
			names = append(names, name)
			if hasPort {
				ports = append(ports, port)
			}
		}
	}
	slices.Sort(names)
	slices.Sort(ports)
	return slices.Compact(names), slices.Compact(ports)
}

// startAgent runs the agent as on any node, but for the redirector's port: other agents on this machine have the same network.
func (j *judges) startAgent(ctx context.Context) {
	GinkgoHelper()
	program, err := gexec.Build("github.com/mirrorset/mirrorset/cmd/agent")
	Expect(err).NotTo(HaveOccurred())
	_, err = j.Client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	_, port, err := net.SplitHostPort(freeHosts(1)[0])
	Expect(err).NotTo(HaveOccurred())
	j.agent, err = j.Run("agent", program, []string{"KUBECONFIG=" + j.Kubeconfig},
		"--host-root=/", "--node-name="+cluster.NodeName, "--namespace="+namespace, "--redirector-port="+port, "--allow-default-host")
	Expect(err).NotTo(HaveOccurred())
}

// putInForce publishes the rules of a case, and waits until the node has them: the drop-in is what an agent writes last.
func (j *judges) putInForce(ctx context.Context, c *conformance.Case) {
	GinkgoHelper()
	if j.inForce == c.Name {
		return
	}
	text, err := c.Text()
	Expect(err).NotTo(HaveOccurred())
	j.publish(ctx, text)
	Eventually(func(g Gomega) {
		g.Expect(j.agent.Ended()).NotTo(BeClosed())
		got, err := os.ReadFile(j.Path(dropIn))
		if !strings.Contains(text, "[[registry]]") {
			g.Expect(err).To(MatchError(fs.ErrNotExist))
			return
		}
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(got)).To(Equal(text))
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(5 * time.Millisecond).Should(Succeed())
	j.inForce, j.found = c.Name, nil
}

// publish does as the manager does.
func (j *judges) publish(ctx context.Context, text string) {
	GinkgoHelper()
	j.revision = payload.NextRevision(time.Now().UnixMilli(), j.revision)
	p := payload.New(j.revision, []byte(text))
	data, binaryData, err := p.Data()
	Expect(err).NotTo(HaveOccurred())
	configMap := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: payload.ConfigMapName, Annotations: p.Annotations()}, Data: data, BinaryData: binaryData,
	}
	configMaps := j.Client.CoreV1().ConfigMaps(namespace)
	if _, err = configMaps.Update(ctx, configMap, metav1.UpdateOptions{}); err != nil {
		_, err = configMaps.Create(ctx, configMap, metav1.CreateOptions{})
	}
	Expect(err).NotTo(HaveOccurred())
}

// state is what the report of a spec that failed has: what was asked, and what containerd was told.
func (j *judges) state() string {
	var all strings.Builder
	for _, r := range j.asked() {
		fmt.Fprintln(&all, r)
	}
	for _, pattern := range []string{dropIn, certsDir + "/*/*"} {
		paths, _ := filepath.Glob(j.Path(pattern)) // the pattern is well-formed
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				text = []byte(err.Error())
			}
			fmt.Fprintf(&all, "== %s\n%s", strings.TrimPrefix(path, j.Path("")), text)
		}
	}
	return all.String() + j.Logs(6)
}

// containerdClient is one containerd, as kubelet has it.
type containerdClient struct {
	version string
	images  criv1.ImageServiceClient
}

// connect waits until a containerd answers.
func connect(ctx context.Context, socket, version string) *containerdClient {
	GinkgoHelper()
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(conn.Close)
	client := &containerdClient{images: criv1.NewImageServiceClient(conn)}
	Eventually(func(g Gomega) {
		answer, err := criv1.NewRuntimeServiceClient(conn).Version(ctx, &criv1.VersionRequest{})
		g.Expect(err).NotTo(HaveOccurred())
		client.version = answer.RuntimeVersion
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(100 * time.Millisecond).Should(Succeed())
	Expect(client.version).To(HavePrefix(version))
	return client
}

// pull pulls an image, without credentials, and forgets it.
func (c *containerdClient) pull(ctx context.Context, reference string) error {
	return c.pullAs(ctx, reference, nil)
}

// pullAs is [containerdClient.pull] with credentials.
func (c *containerdClient) pullAs(ctx context.Context, reference string, auth *criv1.AuthConfig) error {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	image := &criv1.ImageSpec{Image: reference}
	if _, err := c.images.PullImage(ctx, &criv1.PullImageRequest{Image: image, Auth: auth}); err != nil {
		return err
	}
	_, err := c.images.RemoveImage(ctx, &criv1.RemoveImageRequest{Image: image})
	return err
}

// tinyImage returns an image for this machine that nobody has yet.
func tinyImage() v1.Image {
	GinkgoHelper()
	layer, err := random.Layer(64, types.DockerLayer)
	Expect(err).NotTo(HaveOccurred())
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{Architecture: runtime.GOARCH, OS: "linux", RootFS: v1.RootFS{Type: "layers"}})
	Expect(err).NotTo(HaveOccurred())
	image, err = mutate.AppendLayers(image, layer)
	Expect(err).NotTo(HaveOccurred())
	return image
}
