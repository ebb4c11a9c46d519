// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/exec"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// Why a node's pulls are not known. The errors of [Cluster.Pulls] say it in full, with what to do.
var (
	// ErrNoAgent is of a node on which no agent runs.
	ErrNoAgent = errors.New("no agent runs on this node")
	// ErrMayNotAsk is of a user who may not list the agents' Pods, or run a command in one.
	ErrMayNotAsk = errors.New("you do not have the right to query its agent")
	// ErrUnseen is of a node whose agent does not see pulls, as with CRI-O.
	ErrUnseen = errors.New("its pulls cannot be seen")
	// ErrOlderAgent is of a node whose agent is of a version that keeps no access log.
	ErrOlderAgent = errors.New("its agent is older than this plugin")
)

// Pulls are those that an agent remembers (docs/reference/semantics.md V1).
type Pulls struct {
	// Since is when its access log began. Nothing from before is known.
	Since time.Time
	// Pulls are in the order in which they began.
	Pulls []accesslog.Pull
}

// answer is how long a node's agent may take, with the API server and the kubelet on the way to it.
const answer = 30 * time.Second

// Pulls asks the agent of a node for the pulls that it saw. It runs a command in the agent's Pod, which takes the rights to list Pods and to create
// pods/exec in the namespace.
func (c *Cluster) Pulls(ctx context.Context, node string) (p Pulls, err error) {
	bounded, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	err = c.askForPulls(bounded, node, []string{"/agent", "pulls"}, func(head accesslog.Head) { p.Since = head.Since }, func(pull accesslog.Pull) error {
		p.Pulls = append(p.Pulls, pull)
		return nil
	})
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("its agent did not answer within %s; check that its kubelet answers, for instance with kubectl -n %s logs", answer, c.Namespace)
	}
	return p, err
}

// WatchPulls does the same and continues with each pull that begins or changes, until the context or the agent ends or each fails. It never returns nil.
func (c *Cluster) WatchPulls(ctx context.Context, node string, head func(accesslog.Head), each func(accesslog.Pull) error) error {
	if err := c.askForPulls(ctx, node, []string{"/agent", "pulls", "--watch", "--until-eof"}, head, each); err != nil {
		return err
	}
	return errors.New("its agent has stopped")
}

// askForPulls runs a command in the agent's Pod of a node and reads what it prints.
func (c *Cluster) askForPulls(ctx context.Context, node string, command []string, head func(accesslog.Head), each func(accesslog.Pull) error) error {
	pod, err := c.agentOf(ctx, node)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence, hold := io.Pipe()
	defer func() { _ = hold.Close() }() // which cannot fail
	printed, print := io.Pipe()
	complaint := &firstOf{most: 4 << 10}
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failed = c.exec(ctx, pod, command, silence, print, complaint)
		_ = print.Close() // this cannot fail either
	}()
	wrong := accesslog.Read(printed, head, each)
	_ = printed.Close() // this cannot fail either
	if wrong != nil && !errors.Is(wrong, io.EOF) && !errors.Is(wrong, io.ErrUnexpectedEOF) {
		return wrong // and the command ends with its context
	}
	<-ended
	if failed != nil {
		return c.sayExec(pod, failed, output.Harmless(strings.TrimSpace(complaint.String())))
	}
	if wrong != nil {
		return fmt.Errorf("the answer of its agent cannot be read: %w", wrong)
	}
	return nil
}

// unseen is the exit code of an agent's command that would have nothing to print because the agent sees no pulls.
const unseen = 3

// sayExec says why a command in an agent's Pod failed.
func (c *Cluster) sayExec(pod *corev1.Pod, err error, complaint string) error {
	var exit exec.ExitError
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf(`%w: you need the right to "create" "pods/exec" in namespace %s: %s`, ErrMayNotAsk, c.Namespace, output.Harmless(err.Error()))
	case !errors.As(err, &exit):
		return fmt.Errorf("the command could not be started in Pod %s: %s", pod.Name, output.Harmless(err.Error()))
	case exit.ExitStatus() == unseen:
		return fmt.Errorf("%w: %s", ErrUnseen, complaint)
	case strings.Contains(complaint, "unexpected argument"):
		return fmt.Errorf("%w and keeps no access log; wait until the manager has replaced it with its own version: kubectl -n %s rollout status daemonset/%s", ErrOlderAgent, c.Namespace, AgentDaemonSet)
	case complaint == "":
		return fmt.Errorf("the command in Pod %s failed: %s", pod.Name, output.Harmless(err.Error()))
	}
	return fmt.Errorf("its agent's Pod %s reports: %s", pod.Name, complaint)
}

// firstOf keeps the first of what is written to it.
type firstOf struct {
	strings.Builder

	most int
}

func (f *firstOf) Write(text []byte) (int, error) {
	f.Builder.Write(text[:min(len(text), f.most-f.Len())])
	return len(text), nil
}

// PastRedirector says why what the Pods of a node pull is not in its agent's access log, or not all of it; "" where it is, or nobody says.
func PastRedirector(node *mirrorsetv1alpha1.MirrorNodeStatus) string {
	if node.SeesPulls == nil || *node.SeesPulls {
		return ""
	}
	if ready := standing.Condition(node, mirrorsetv1alpha1.ConditionRuntimeReady); ready.Status == metav1.ConditionFalse {
		return ready.Message
	}
	return "its agent reports that it does not see the pulls of Pods"
}
