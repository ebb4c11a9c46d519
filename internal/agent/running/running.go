// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package running tells which images the containers of a node run, by the files that containerd and CRI-O keep of each for the low-level
// runtime. It asks neither the API server, where an agent may not list Pods, nor the runtime's socket, which would be root on the host
// (docs/adr/0031).
package running

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// The folders below the host's root with one folder for each container, whatever the host calls them.
const (
	// ContainerdDir is containerd's, of the containers of Pods.
	ContainerdDir = "run/containerd/io.containerd.runtime.v2.task/k8s.io"
	// CRIODir is CRI-O's.
	CRIODir = "run/containers/storage/overlay-containers"
)

const (
	// maxContainers bounds those that are looked at in each folder; a kubelet runs 110 Pods by default.
	maxContainers = 4096
	// maxConfig bounds the file of one container, in bytes.
	maxConfig = 4 << 20
)

// config is all that is read of a container's file, which has the values of its environment too.
type config struct {
	Annotations struct {
		Containerd        string `json:"io.kubernetes.cri.image-name"`
		ContainerdSandbox string `json:"io.kubernetes.cri.podsandbox.image-name"`
		CRIO              string `json:"io.kubernetes.cri-o.ImageName"`
	} `json:"annotations"`
}

// Images returns the references of all images that containers run, each once and in byte order, and how many containers it found. What cannot be read is left out: a file
// can go while it is looked at, as its container does. So is an image that nothing but its ID names, which nobody could pull.
func Images(host *hostfile.Host) (images []mirrors.Reference, found int) {
	seen := make(map[mirrors.Reference]bool)
	for dir, file := range map[string]string{ContainerdDir: "config.json", CRIODir: "userdata/config.json"} {
		containers, err := host.ReadDir(dir)
		if err != nil {
			continue // there is no such runtime here
		}
		for _, container := range containers[:min(len(containers), maxContainers)] {
			names := namesIn(host, path.Join(dir, container.Name(), file))
			found += min(len(names), 1)
			for _, name := range names {
				if ref, err := mirrors.ParseReference(name); err == nil && !strings.HasPrefix(name, "sha256:") {
					seen[ref] = true
				}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b mirrors.Reference) int { return strings.Compare(a.String(), b.String()) }), found
}

// namesIn returns the images that a container's file names; an empty name is none. Nothing else of the file stays in memory.
func namesIn(host *hostfile.Host, file string) []string {
	content, err := host.ReadRegular(file, maxConfig)
	defer clear(content)
	var c config
	if err != nil || json.Unmarshal(content, &c) != nil {
		return nil
	}
	return []string{c.Annotations.Containerd, c.Annotations.ContainerdSandbox, c.Annotations.CRIO}
}
