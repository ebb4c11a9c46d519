// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package pulls

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/images"
)

// target is whose pulls are asked for.
type target struct {
	nodes []string
	// all says that it is those of all nodes, whatever their number is now.
	all bool
	// pod is the one whose images they are to be of; nil for those of all images.
	pod    *corev1.Pod
	images images.OfPod
}

func (t target) wants(p accesslog.Pull) bool {
	return t.pod == nil || t.images.Have(p.Image)
}

// The ways in which kubectl names a node and a Pod.
var (
	nodeKinds = []string{"node", "nodes", "no"}
	podKinds  = []string{"pod", "pods", "po"}
)

// find reads the argument.
func (o *options) find(ctx context.Context, c *cluster.Cluster, args []string) (target, error) {
	if len(args) == 0 {
		nodes, err := c.AgentNodes(ctx)
		return target{nodes: nodes, all: true}, err
	}
	kind, name, hasKind := strings.Cut(args[0], "/")
	switch {
	case !hasKind:
		return o.findByName(ctx, c, args[0])
	case name == "" || strings.Contains(name, "/"):
	case slices.Contains(nodeKinds, kind):
		return target{nodes: []string{name}}, nil
	case slices.Contains(podKinds, kind):
		return o.findPod(ctx, c, name)
	}
	return target{}, fmt.Errorf("%q: write NAME, node/NAME or pod/NAME", args[0])
}

// findByName takes a node if there is one, otherwise a Pod. A user without the right to read Nodes can still name a Pod.
func (o *options) findByName(ctx context.Context, c *cluster.Cluster, name string) (target, error) {
	_, wrong := c.KubernetesNodes().Get(ctx, name, metav1.GetOptions{})
	switch {
	case wrong == nil:
		return target{nodes: []string{name}}, nil
	case !apierrors.IsNotFound(wrong) && !apierrors.IsForbidden(wrong):
		return target{}, wrong
	}
	t, err := o.findPod(ctx, c, name)
	switch {
	case apierrors.IsNotFound(err) && apierrors.IsForbidden(wrong):
		return target{}, fmt.Errorf("%w, and you do not have the right to look up a node of this name; if it is a node, write node/%s", err, name)
	case apierrors.IsNotFound(err):
		return target{}, fmt.Errorf("there is no node %q, and %w", name, err)
	}
	return t, err
}

func (o *options) findPod(ctx context.Context, c *cluster.Cluster, name string) (target, error) {
	namespace, err := o.cluster.PodNamespace()
	if err != nil {
		return target{}, err
	}
	pod, err := c.Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return target{}, fmt.Errorf("there is no Pod %q in namespace %s; name another namespace with -n: %w", name, namespace, err)
	case err != nil:
		return target{}, err
	case pod.Spec.NodeName == "":
		return target{}, fmt.Errorf("the Pod %s/%s is not on a node yet, so nothing was pulled for it; to see why it waits: kubectl -n %[1]s describe pod %[2]s", namespace, name)
	}
	return target{nodes: []string{pod.Spec.NodeName}, pod: pod, images: images.ReadPod(pod)}, nil
}

// complete offers nodes and Pods.
func (o *options) complete(cmd *cobra.Command, given []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, directive := o.cluster.CompleteNodes(cmd, nil, "")
	c, err := o.cluster.Connect()
	if err != nil {
		return names, directive
	}
	namespace, err := o.cluster.PodNamespace()
	if err != nil {
		return names, directive
	}
	pods, err := c.Pods(namespace).List(cmd.Context(), metav1.ListOptions{})
	if err != nil {
		return names, directive
	}
	for i := range pods.Items {
		names = append(names, pods.Items[i].Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
