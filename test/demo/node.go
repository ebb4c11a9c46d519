// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// containerdConfig lets containerd read the files in certs.d.
const containerdConfig = `version = 3
[plugins."io.containerd.cri.v1.images".registry]
config_path = "/etc/containerd/certs.d"
`

// makeNode makes the node's root directory one of containerd's, and a Node as its kubelet would report it.
func (s *standIn) makeNode(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(s.hostRoot, "etc/containerd/certs.d"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.hostRoot, "etc/containerd/config.toml"), []byte(containerdConfig), 0o644); err != nil {
		return err
	}
	nodes := s.client.CoreV1().Nodes()
	node, err := nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName, Labels: map[string]string{corev1.LabelOSStable: "linux"}}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	node.Status.NodeInfo.ContainerRuntimeVersion = "containerd://2.2.0"
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	_, err = nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{})
	return err
}

// freePort returns a port for the redirector: on a node it has 289, which takes root.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	return port, listener.Close()
}
