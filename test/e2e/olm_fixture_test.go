// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/test/cluster"
)

const (
	olmNamespace = "olm"
	// catalogService is where OLM's catalog operator finds the catalog that docs/how-to/install.md has, and catalogPort its port.
	catalogService = "mirrorset.olm.svc"
	catalogPort    = "50051"
)

// lifecycle is a real OLM on the shared node: its two operators as processes there, and a registry for what they pull.
type lifecycle struct {
	*cluster.Cluster
	registry           *countedRegistry
	opmImage, olmImage string
	operators          map[string]*cluster.Process
	starts             int
}

// startOLM installs OLM's APIs and starts its operators.
func startOLM(ctx context.Context) *lifecycle {
	GinkgoHelper()
	l := &lifecycle{Cluster: node(ctx), registry: startRegistryAt("olm", freeHosts(1)[0], &traffic{}), operators: map[string]*cluster.Process{}}
	folder := strings.TrimSpace(run(inFolder("../olm", exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/operator-framework/operator-lifecycle-manager"))))
	run(l.Kubectl(ctx, "apply", "--server-side", "-f", folder+"/deploy/chart/crds"))
	run(l.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=60s", "-f", folder+"/deploy/chart/crds"))
	for _, name := range []string{olmNamespace, "operators"} {
		_, err := l.Client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
	}
	l.opmImage = l.push(ctx, "opm", map[string]string{"/bin/opm": "../../bin/olm/opm", "/bin/grpc_health_probe": "../../bin/olm/grpc-health-probe"})
	l.olmImage = l.push(ctx, "olm", map[string]string{"/bin/cp": "../../bin/debian/bin/busybox", "/bin/cpb": "../../bin/olm/cpb", "/bin/copy-content": "../../bin/olm/copy-content"})
	l.serveCatalog()
	l.start()
	DeferCleanup(func(ctx SpecContext) {
		l.end()
		run(l.Kubectl(ctx, "delete", "--ignore-not-found", "namespace", olmNamespace, "operators"))
		run(l.Kubectl(ctx, "delete", "-f", folder+"/deploy/chart/crds"))
	}, cleanUpTimeout)
	return l
}

func inFolder(folder string, cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = folder
	return cmd
}

// push makes an image of programs, and returns its name in the registry.
func (l *lifecycle) push(ctx context.Context, repository string, programs map[string]string) string {
	GinkgoHelper()
	base, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: runtime.GOARCH, OS: "linux", RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{Env: []string{"PATH=/bin"}},
	})
	Expect(err).NotTo(HaveOccurred())
	archive := filepath.Join(GinkgoT().TempDir(), repository+".tar")
	content, err := os.Create(archive)
	Expect(err).NotTo(HaveOccurred())
	files := tar.NewWriter(content)
	for name, program := range programs {
		text, err := os.ReadFile(program)
		Expect(err).NotTo(HaveOccurred(), "make test-olm")
		Expect(files.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg})).To(Succeed())
		_, err = files.Write(text)
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(errors.Join(files.Close(), content.Close())).To(Succeed())
	layer, err := tarball.LayerFromFile(archive)
	Expect(err).NotTo(HaveOccurred())
	image, err := mutate.AppendLayers(base, layer)
	Expect(err).NotTo(HaveOccurred())
	l.registry.push(ctx, repository, image)
	return l.registry.host + "/" + repository + ":1"
}

// start starts both operators.
func (l *lifecycle) start() {
	GinkgoHelper()
	l.starts++
	environment := []string{"KUBECONFIG=" + l.Kubeconfig, "OPERATOR_NAMESPACE=" + olmNamespace, "OPERATOR_NAME=olm-operator"}
	for name, args := range map[string][]string{
		"olm":     {"--namespace", olmNamespace, "--writeStatusName", ""},
		"catalog": {"--namespace", olmNamespace, "--opmImage", l.opmImage, "--util-image", l.olmImage, "--kubeconfig", l.Kubeconfig},
	} {
		program, err := filepath.Abs("../../bin/olm/" + name)
		Expect(err).NotTo(HaveOccurred())
		l.operators[name], err = l.Run(l.logName(name), program, environment, args...)
		Expect(err).NotTo(HaveOccurred())
	}
}

// logName is that of the operator's log since it was last started.
func (l *lifecycle) logName(operator string) string {
	return fmt.Sprintf("olm-%s-%d", operator, l.starts)
}

func (l *lifecycle) end() {
	GinkgoHelper()
	for name, p := range l.operators {
		_ = p.End() // one that does not end in time is killed
		delete(l.operators, name)
	}
}

// logged returns the lines of both logs since the last start that contain a text.
func (l *lifecycle) logged(text string) (lines []string) {
	GinkgoHelper()
	for _, name := range []string{"olm", "catalog"} {
		log, err := os.ReadFile(filepath.Join(l.Dir(), "logs", l.logName(name)+".log"))
		Expect(err).NotTo(HaveOccurred())
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, text) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// serveCatalog stands for kube-proxy and DNS, which the node has not: it leads OLM from the Service to the Pod with the catalog.
func (l *lifecycle) serveCatalog() {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:"+catalogPort)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(listener.Close)
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go l.lead(from)
		}
	}()
}

func (l *lifecycle) lead(from net.Conn) {
	defer func() { _ = from.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	slices, err := l.Client.DiscoveryV1().EndpointSlices(olmNamespace).List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=mirrorset"})
	if err != nil {
		return // it is asked again
	}
	for i := range slices.Items {
		for _, endpoint := range slices.Items[i].Endpoints {
			if endpoint.Conditions.Ready == nil || !*endpoint.Conditions.Ready {
				continue
			}
			if to, err := net.Dial("tcp", net.JoinHostPort(endpoint.Addresses[0], catalogPort)); err == nil {
				defer func() { _ = to.Close() }()
				go func() { _, _ = io.Copy(to, from) }()
				_, _ = io.Copy(from, to)
				return
			}
		}
	}
}

// release makes the bundle and the catalog of a version in a copy of the checkout that keeps the catalog of those before, and pushes both.
// It returns the catalog's image.
func (l *lifecycle) release(ctx context.Context, checkout, version string) string {
	GinkgoHelper()
	bin, err := filepath.Abs("../../bin")
	Expect(err).NotTo(HaveOccurred())
	repository := "mirrorset-bundle"
	cmd := inFolder(checkout, exec.CommandContext(ctx, "make", "-o", bin+"/generated", "-o", bin+"/kustomize", "BIN="+bin, "COMMIT=", "bundle-images", "VERSION="+version,
		"IMG="+imageName+":"+version, "BUNDLE_IMG="+l.registry.host+"/"+repository+":"+version, "CATALOG_IMG="+l.registry.host+"/mirrorset-catalog:"+version))
	cmd.Env = append(os.Environ(), "MAKEFLAGS=")
	run(cmd)
	image, _ := readImage(ctx, filepath.Join(checkout, "dist/mirrorset-bundle.tar"))
	l.registry.push(ctx, repository, image)
	image, _ = readImage(ctx, filepath.Join(checkout, "dist/mirrorset-catalog.tar"))
	l.registry.push(ctx, "mirrorset-catalog-"+version, image)
	catalog, err := os.ReadFile(filepath.Join(checkout, "dist/catalog.yaml"))
	Expect(err).NotTo(HaveOccurred())
	put(filepath.Join(checkout, "catalog/mirrorset/catalog.yaml"), string(catalog))
	return l.registry.host + "/mirrorset-catalog-" + version + ":1"
}

// copyCheckout copies that part of the checkout which a bundle is made from.
func copyCheckout() string {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	for _, name := range []string{"api", "catalog", "config", "hack"} {
		Expect(os.CopyFS(filepath.Join(folder, name), os.DirFS("../../"+name))).To(Succeed())
	}
	for _, name := range []string{"Makefile", "go.mod", "go.sum"} {
		content, err := os.ReadFile("../../" + name)
		Expect(err).NotTo(HaveOccurred())
		put(filepath.Join(folder, name), string(content))
	}
	return folder
}

// documentedObjects are what docs/how-to/install.md has people apply, with the catalog's image and the settings of a spec.
func documentedObjects(catalog, insecure string) string {
	GinkgoHelper()
	text, err := os.ReadFile("../../docs/how-to/install.md")
	Expect(err).NotTo(HaveOccurred())
	block := regexp.MustCompile("(?s)\n```yaml\n(.*?)\n```\n").FindStringSubmatch(string(text))
	Expect(block).To(HaveLen(2))
	for _, c := range []struct{ old, new string }{
		{"ghcr.io/mirrorset/mirrorset-catalog:latest", catalog}, {"registry.site.example:5000", insecure},
	} {
		Expect(block[1]).To(ContainSubstring(c.old))
		block[1] = strings.ReplaceAll(block[1], c.old, c.new)
	}
	return block[1]
}
