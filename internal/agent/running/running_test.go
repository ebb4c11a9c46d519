// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package running_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/agent/running"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
)

const (
	digest = "sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706"

	containerd = running.ContainerdDir + "/"
	crio       = running.CRIODir + "/"
)

// container is a container's file as containerd 2.4 writes it, shortened, with another image.
func container(key, image string) string {
	return `{"ociVersion":"1.3.0","process":{"user":{"uid":0,"gid":0},"args":["/bin/sh"],"env":["PATH=/bin","PASSWORD=hush"],"cwd":"/"},
"root":{"path":"rootfs"},"hostname":"","mounts":[{"destination":"/proc","type":"proc","source":"proc","options":["nosuid","noexec","nodev"]}],
"annotations":{"io.kubernetes.cri.container-name":"app","io.kubernetes.cri.container-type":"container","` + key + `":"` + image + `",
"io.kubernetes.cri.sandbox-id":"0e9c","io.kubernetes.cri.sandbox-name":"app-0","io.kubernetes.cri.sandbox-namespace":"default"},
"linux":{"namespaces":[{"type":"pid"}]}}`
}

// crioContainer is one as CRI-O writes it, shortened.
func crioContainer(image string) string {
	return `{"ociVersion":"1.2.0","process":{"env":["TERM=xterm","TOKEN=hush"],"args":["/coredns"]},"annotations":{"io.container.manager":"cri-o",
"io.kubernetes.cri-o.ContainerType":"container","io.kubernetes.cri-o.Image":"4a2f5b","io.kubernetes.cri-o.ImageName":"` + image + `",
"io.kubernetes.cri-o.Annotations":"{\"io.kubernetes.container.hash\":\"9d5ec3e3\"}"}}`
}

func TestTheImagesOfContainers(t *testing.T) {
	image := func(name string) string { return container("io.kubernetes.cri.image-name", name) }
	for name, c := range map[string]struct {
		have  sinktest.Files
		want  []string
		found int
	}{
		"no runtime": {sinktest.Files{"etc/": ""}, nil, 0},
		"containers and their sandboxes": {sinktest.Files{
			containerd + "2/config.json": image("quay.io/a/b:1"),
			containerd + "1/config.json": container("io.kubernetes.cri.podsandbox.image-name", "registry.k8s.io/pause:3.10.1"),
			containerd + "3/config.json": image("quay.io/a/b@" + digest),
		}, []string{"quay.io/a/b:1", "quay.io/a/b@" + digest, "registry.k8s.io/pause:3.10.1"}, 3},
		"one image by its names, and another beside it": {sinktest.Files{
			containerd + "1/config.json": image("docker.io/library/alpine:latest"),
			containerd + "2/config.json": image("alpine"),
			containerd + "3/config.json": image("alpine:3"),
		}, []string{"docker.io/library/alpine:3", "docker.io/library/alpine:latest"}, 3},
		"CRI-O":         {sinktest.Files{crio + "1/userdata/config.json": crioContainer("registry.k8s.io/coredns/coredns:v1.12.1"), crio + "2/userdata/x": ""}, []string{"registry.k8s.io/coredns/coredns:v1.12.1"}, 1},
		"both runtimes": {sinktest.Files{containerd + "1/config.json": image("b.com/x:1"), crio + "1/userdata/config.json": crioContainer("a.com/x:1")}, []string{"a.com/x:1", "b.com/x:1"}, 2},
		"nothing but the ID of an image": {sinktest.Files{
			containerd + "1/config.json":    image(digest),
			crio + "1/userdata/config.json": crioContainer(strings.TrimPrefix(digest, "sha256:")),
		}, nil, 2},
		"files that are damaged, or none": {sinktest.Files{
			containerd + "1/config.json":   "{",
			containerd + "2/config.json":   `{"annotations":{"io.kubernetes.cri.image-name":1}}`,
			containerd + "3/config.json":   "",
			containerd + "4/config.json/x": "",
			containerd + "5":               "",
			containerd + "6/config.json":   image("UPPER/case"),
			containerd + "7/config.json":   strings.Repeat(" ", 4<<20) + image("s.com/large:1"),
			containerd + "8/config.json":   image("s.com/x:1"),
			containerd + "9/config.json":   `{"annotations":null}`,
		}, []string{"s.com/x:1"}, 3},
	} {
		host, _ := sinktest.NewHost(t, c.have)
		var got []string
		images, found := running.Images(host)
		for _, ref := range images {
			got = append(got, ref.String())
		}
		if !slices.Equal(got, c.want) || found != c.found {
			t.Errorf("%s: got %q of %d containers, want %q of %d", name, got, found, c.want, c.found)
		}
	}
}

// TestNoFileOutsideTheHostIsReadForAContainer has links of a container's folder lead out of the host's root.
func TestNoFileOutsideTheHostIsReadForAContainer(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(outside, []byte(container("io.kubernetes.cri.image-name", "s.com/x:1")), 0o600); err != nil {
		t.Fatal(err)
	}
	host, root := sinktest.NewHost(t, nil)
	sinktest.Symlink(t, outside, root, containerd+"1/config.json")
	sinktest.Symlink(t, filepath.Dir(outside), root, containerd+"2")
	if got, found := running.Images(host); len(got) > 0 || found > 0 {
		t.Errorf("got %v of %d containers", got, found)
	}
}
