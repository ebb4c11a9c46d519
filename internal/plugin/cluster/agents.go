// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// agentContainer is the agent's in its Pod.
const agentContainer = "agent"

// AgentNodes returns the names of the nodes that have an agent's Pod, in their order.
func (c *Cluster) AgentNodes(ctx context.Context) (nodes []string, err error) {
	pods, err := c.agentPods(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for i := range pods {
		if name := pods[i].Spec.NodeName; name != "" {
			nodes = append(nodes, name)
		}
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("%w: namespace %s has no agent Pods; name the namespace that Mirrorset is installed in with --mirrorset-namespace", ErrNoAgent, c.Namespace)
	}
	slices.Sort(nodes)
	return slices.Compact(nodes), nil
}

func (c *Cluster) agentPods(ctx context.Context, options metav1.ListOptions) ([]corev1.Pod, error) {
	options.LabelSelector = AgentPods
	list, err := c.Pods(c.Namespace).List(ctx, options)
	if apierrors.IsForbidden(err) {
		return nil, fmt.Errorf(`%w: you need the right to "list" "pods" in namespace %s: %w`, ErrMayNotAsk, c.Namespace, err)
	}
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// agentOf returns the Pod of the agent that runs on a node: where one is about to replace another, the one that is to stay, once it is ready.
func (c *Cluster) agentOf(ctx context.Context, node string) (*corev1.Pod, error) {
	pods, err := c.agentPods(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String()})
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 {
		return nil, fmt.Errorf("%w: namespace %s has no agent Pod for it. If the node does not have the label mirrorset.io/agent=disabled, run kubectl mirrors doctor to see why the agent is missing",
			ErrNoAgent, c.Namespace)
	}
	best := slices.MaxFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(whetherMore(runs(&a), runs(&b)), whetherMore(IsReady(&a), IsReady(&b)), whetherMore(a.DeletionTimestamp == nil, b.DeletionTimestamp == nil),
			a.CreationTimestamp.Compare(b.CreationTimestamp.Time))
	})
	if !runs(&best) {
		return nil, fmt.Errorf("%w: its Pod %s is %s; to see why: kubectl -n %s describe pod %[2]s", ErrNoAgent, best.Name, output.Harmless(string(best.Status.Phase)), c.Namespace)
	}
	return &best, nil
}

// runs reports whether the agent's container does.
func runs(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == agentContainer && s.State.Running != nil })
}

// whetherMore has what is true come behind what is not.
func whetherMore(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// exec runs a command in an agent's container, as kubectl exec does: by WebSocket, and by SPDY where that is refused on the way. Where it is the API
// server that refuses, the error is its own. Standard input ends with the client, as far as the command can tell; nothing else would end it then.
func (c *Cluster) exec(ctx context.Context, pod *corev1.Pod, command []string, stdin io.Reader, stdout, stderr io.Writer) error {
	url := c.core.Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: agentContainer, Command: command, Stdin: true, Stdout: true, Stderr: true}, execOptions()).URL()
	legacy, err := remotecommand.NewSPDYExecutor(c.config, http.MethodPost, url)
	if err != nil {
		return err
	}
	websocket, err := remotecommand.NewWebSocketExecutor(c.config, http.MethodGet, url.String())
	if err != nil {
		return err
	}
	var refusal *httpstream.UpgradeFailureError
	executor, err := remotecommand.NewFallbackExecutor(websocket, legacy, func(err error) bool {
		return errors.As(err, &refusal) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return err
	}
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: stdout, Stderr: stderr})
	var status *apierrors.StatusError
	if err != nil && refusal != nil && errors.As(refusal.Cause, &status) {
		return status // the other says the same in words alone
	}
	return err
}
