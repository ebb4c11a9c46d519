// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"reflect"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

func TestMachinesAreWhatNodesReport(t *testing.T) {
	list := corev1.NodeList{TypeMeta: metav1.TypeMeta{Kind: "NodeList", APIVersion: "v1"}}
	for _, info := range []corev1.NodeSystemInfo{
		{OperatingSystem: "linux", Architecture: "arm64", KernelVersion: "6.1.0", ContainerRuntimeVersion: "containerd://2.1.4"},
		{OperatingSystem: "linux", Architecture: "arm64", KernelVersion: "6.2.0", ContainerRuntimeVersion: "containerd://1.7.0"},
		{}, // one that is about to join
		{OperatingSystem: "windows", Architecture: "amd64", KernelVersion: "10.0.20348.2227", ContainerRuntimeVersion: "cri-o://1.34.0"},
		{OperatingSystem: "windows", Architecture: "amd64", KernelVersion: "10.0.17763.5458", ContainerRuntimeVersion: "cri-o://1.34.0"},
	} {
		list.Items = append(list.Items, corev1.Node{Status: corev1.NodeStatus{NodeInfo: info}})
	}
	c := connected(t, cluster.NewFlags(), plugintest.Serve(t, map[string]any{"/api/v1/nodes": list}))
	want := cluster.Machines{
		Platforms: []ocispec.Platform{{OS: "linux", Architecture: "arm64"}, {OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.2227"}, {OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.5458"}},
		Runtimes:  []string{"containerd", "cri-o"},
	}
	if got, err := c.Machines(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}
