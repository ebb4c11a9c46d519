// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package running finds the images that the containers of a node run. It reads the files that containerd and CRI-O keep of each container for the
// low-level runtime. It does not use the API server, where an agent may not list Pods. It does not use the runtime's socket either, which would be
// equivalent to root on the host (docs/adr/0031).
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

// Images returns the references of all images that containers run, each once and in byte order, and how many containers it found. It leaves out files
// that it cannot read: a file can disappear while it is read, with its container. It also leaves out an image that only has an ID, which no client
// could pull.
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
