// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

// AgentPodsPath is that of the Pods among which the agents' are.
const AgentPodsPath = "/api/v1/namespaces/mirrorset-system/pods"

// ExecPath is where a command is run in a Pod there.
func ExecPath(pod string) string {
	return AgentPodsPath + "/" + pod + "/exec"
}

// AgentPod is the Pod of an agent that runs on a node.
func AgentPod(name, node string, changes ...func(*corev1.Pod)) corev1.Pod {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "mirrorset-system", CreationTimestamp: metav1.NewTime(time.Date(2026, 11, 29, 18, 0, 0, 0, time.UTC))},
		Spec:       corev1.PodSpec{NodeName: node},
		Status: corev1.PodStatus{
			Phase:             corev1.PodRunning,
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "agent", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}},
		},
	}
	for _, change := range changes {
		change(&pod)
	}
	return pod
}

// PodsOnNodes answers as an API server does that is asked for the Pods of all nodes or of one.
func PodsOnNodes(t *testing.T, pods ...corev1.Pod) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{}}
		node, isOfOne := strings.CutPrefix(r.URL.Query().Get("fieldSelector"), "spec.nodeName=")
		for _, pod := range pods {
			if !isOfOne || pod.Spec.NodeName == node {
				list.Items = append(list.Items, pod)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(list); err != nil {
			t.Error(err)
		}
	}
}

// Exec answers as an API server does behind which a command runs in a container, by the protocol that it has for that. The context of the command ends
// with the client.
func Exec(t *testing.T, run func(ctx context.Context, command []string, stdout, stderr io.Writer) (exitCode int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{remotecommand.StreamProtocolV5Name: {
			Binary:   true,
			Channels: []wsstream.ChannelType{wsstream.ReadChannel, wsstream.WriteChannel, wsstream.WriteChannel, wsstream.WriteChannel},
		}})
		_, channels, err := conn.Open(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }() // the client may be gone
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			defer cancel()
			_, _ = io.Copy(io.Discard, channels[remotecommand.StreamStdIn]) // there is none: it ends with the client
		}()
		if err := json.NewEncoder(channels[remotecommand.StreamErr]).Encode(exited(run(ctx, r.URL.Query()["command"], channels[remotecommand.StreamStdOut], channels[remotecommand.StreamStdErr]))); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}
}

// exited is how a command's end is told.
func exited(code int) metav1.Status {
	if code == 0 {
		return metav1.Status{Status: metav1.StatusSuccess}
	}
	return metav1.Status{
		Status: metav1.StatusFailure, Reason: remotecommand.NonZeroExitCodeReason, Message: fmt.Sprintf("command terminated with non-zero exit code: exit status %d", code),
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: remotecommand.ExitCodeCauseType, Message: strconv.Itoa(code)}}},
	}
}
