// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"
)

// Machines are what the Nodes of a cluster say of themselves that matters to a pull.
type Machines struct {
	// Platforms are those that images must be built for, each once.
	Platforms []ocispec.Platform
	// Runtimes are the names of the runtimes that pull, as nodes report them, for example "containerd", each once.
	Runtimes []string
}

// Machines reads the Nodes. It needs the right to list them.
func (c *Cluster) Machines(ctx context.Context) (m Machines, err error) {
	page := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.KubernetesNodes().List(ctx, options)
	}
	err = pager.New(page).EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		node, ok := object.(*corev1.Node)
		if !ok {
			return fmt.Errorf("the API server's list of Nodes contains an object that is not a Node")
		}
		m.add(&node.Status.NodeInfo)
		return nil
	})
	return m, err
}

// add takes what a kubelet reports. A Node without a report, as one that is about to join, says nothing.
func (m *Machines) add(info *corev1.NodeSystemInfo) {
	if info.OperatingSystem == "" || info.Architecture == "" {
		return
	}
	platform := ocispec.Platform{OS: info.OperatingSystem, Architecture: info.Architecture}
	if platform.OS == "windows" {
		platform.OSVersion = info.KernelVersion // which images of Windows are for
	}
	if !slices.ContainsFunc(m.Platforms, func(p ocispec.Platform) bool {
		return p.OS == platform.OS && p.Architecture == platform.Architecture && p.OSVersion == platform.OSVersion
	}) {
		m.Platforms = append(m.Platforms, platform)
	}
	name, _, _ := strings.Cut(info.ContainerRuntimeVersion, "://")
	if !slices.Contains(m.Runtimes, name) {
		m.Runtimes = append(m.Runtimes, name)
	}
}
