// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

const (
	head = `{"since":"2026-11-29T18:00:00Z"}` + "\n"
	pull = `{"id":1,"began":"2026-11-29T18:01:00Z","last":"2026-11-29T18:01:00Z","image":"a.com/x:1"}` + "\n"
)

// asked returns a cluster of these Pods, in which a command in agent-1 does what is told.
func asked(t *testing.T, run func(ctx context.Context, command []string, stdout, stderr io.Writer) int, pods ...corev1.Pod) *cluster.Cluster {
	t.Helper()
	url := plugintest.Serve(t, map[string]any{
		plugintest.AgentPodsPath:       plugintest.PodsOnNodes(t, pods...),
		plugintest.ExecPath("agent-1"): plugintest.Exec(t, run),
		plugintest.ExecPath("agent-2"): http.HandlerFunc(plugintest.Refuse),
	})
	return connected(t, cluster.NewFlagsForPods(), url)
}

// prints is a command that prints these, and ends with this code.
func prints(stdout, stderr string, code int) func(context.Context, []string, io.Writer, io.Writer) int {
	return func(_ context.Context, _ []string, out, complaint io.Writer) int {
		_, _ = io.WriteString(out, stdout)       // the client may have had enough
		_, _ = io.WriteString(complaint, stderr) // likewise
		return code
	}
}

func TestTheAgentOfANodeIsAskedForItsPulls(t *testing.T) {
	var ran []string
	c := asked(t, func(_ context.Context, command []string, stdout, _ io.Writer) int {
		ran = command
		fmt.Fprint(stdout, head+pull)
		return 0
	}, plugintest.AgentPod("agent-1", "node-1"), plugintest.AgentPod("agent-9", "node-9"))
	got, err := c.Pulls(t.Context(), "node-1")
	if err != nil || len(got.Pulls) != 1 || got.Pulls[0].Image != "a.com/x:1" || !got.Since.Equal(time.Date(2026, 11, 29, 18, 0, 0, 0, time.UTC)) || !slices.Equal(ran, []string{"/agent", "pulls"}) {
		t.Errorf("%+v, %v, by %q", got, err, ran)
	}
}

func TestOfSeveralAgentsOnANodeTheOneThatIsToStayIsAsked(t *testing.T) {
	gone := metav1.NewTime(time.Now())
	for name, other := range map[string]func(*corev1.Pod){
		"one that does not run": func(p *corev1.Pod) { p.Status.ContainerStatuses = nil },
		"one that is not ready": func(p *corev1.Pod) { p.Status.Conditions = nil },
		"one that ends":         func(p *corev1.Pod) { p.DeletionTimestamp = &gone },
		"an older one":          func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(p.CreationTimestamp.Add(-time.Hour)) },
	} {
		newer := func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(p.CreationTimestamp.Add(time.Minute)) }
		for _, pods := range [][]corev1.Pod{
			{plugintest.AgentPod("agent-1", "node-1"), plugintest.AgentPod("agent-2", "node-1", newer, other)},
			{plugintest.AgentPod("agent-2", "node-1", newer, other), plugintest.AgentPod("agent-1", "node-1")},
		} {
			if _, err := asked(t, prints(head, "", 0), pods...).Pulls(t.Context(), "node-1"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestWhyPullsAreNotKnownIsSaid(t *testing.T) {
	one := plugintest.AgentPod("agent-1", "node-1")
	for _, tt := range []struct {
		name string
		pod  corev1.Pod
		run  func(context.Context, []string, io.Writer, io.Writer) int
		is   error
		want []string
	}{
		{"no agent", plugintest.AgentPod("agent-1", "node-2"), nil, cluster.ErrNoAgent, []string{"there is no Pod of an agent for it in namespace mirrorset-system", "kubectl mirrors doctor"}},
		{"an agent that does not run", plugintest.AgentPod("agent-1", "node-1", func(p *corev1.Pod) { p.Status.Phase, p.Status.ContainerStatuses = "Pending\x1b", nil }), nil, cluster.ErrNoAgent,
			[]string{`its Pod agent-1 is Pending\x1b; kubectl -n mirrorset-system describe pod agent-1 says why`}},
		{"no right to run a command", plugintest.AgentPod("agent-2", "node-1"), nil, cluster.ErrMayNotAsk, []string{`the right to "create" "pods/exec" in namespace mirrorset-system`, "not you"}},
		{"CRI-O", one, prints("", "the agent does not see the pulls of this node: the kubelet uses CRI-O\n", 3), cluster.ErrUnseen, []string{"the kubelet uses CRI-O"}},
		{"an older agent", one, prints("", `{"level":"error","msg":"The agent stops","error":"unexpected argument \"pulls\""}`, 1), cluster.ErrOlderAgent, []string{"rollout status daemonset/mirrorset-agent"}},
		{"no socket", one, prints("", "no agent answers on /tmp/agent.sock: \x1b[2Jgone\n", 1), nil, []string{`its agent's Pod agent-1 says: no agent answers on /tmp/agent.sock: \x1b[2Jgone`}},
		{"nothing said", one, prints("", "", 1), nil, []string{"the command in Pod agent-1 failed: ", "1"}},
		{"nothing printed", one, prints("", "", 0), nil, []string{"its agent's answer: line 1: EOF"}},
		{"an answer that is none", one, prints("hello\n", "", 0), nil, []string{"line 1 does not have the time since which pulls are known"}},
		{"an answer that breaks off", one, prints(head+pull[:10], "", 0), nil, []string{"its agent's answer: line 2: the input ends early"}},
		{"a flood of complaints", one, prints("", strings.Repeat("no", 10<<10), 1), nil, []string{"says: nono"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := asked(t, tt.run, tt.pod).Pulls(t.Context(), "node-1")
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || len(err.Error()) > 5<<10 {
				t.Fatalf("error %v", err)
			}
			for _, other := range []error{cluster.ErrNoAgent, cluster.ErrMayNotAsk, cluster.ErrUnseen, cluster.ErrOlderAgent} {
				if errors.Is(err, other) && !errors.Is(tt.is, other) {
					t.Errorf("%v is taken for %v", err, other)
				}
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			}
		})
	}
}

func TestWhoMayNotListTheAgentsIsTold(t *testing.T) {
	c := connected(t, cluster.NewFlagsForPods(), plugintest.Serve(t, map[string]any{plugintest.AgentPodsPath: http.HandlerFunc(plugintest.Refuse)}))
	if _, err := c.Pulls(t.Context(), "node-1"); !errors.Is(err, cluster.ErrMayNotAsk) || !strings.Contains(err.Error(), `the right to "list" "pods" in namespace mirrorset-system`) {
		t.Errorf("error %v", err)
	}
}

func TestAWatchOfPullsEndsWithItsAgentItsReaderAndItsContext(t *testing.T) {
	ended := make(chan struct{}, 1)
	agent := func(forever bool) *cluster.Cluster {
		return asked(t, func(ctx context.Context, command []string, stdout, _ io.Writer) int {
			if !slices.Equal(command, []string{"/agent", "pulls", "--watch", "--until-eof"}) {
				t.Errorf("%q", command)
			}
			fmt.Fprint(stdout, head+pull)
			if forever {
				<-ctx.Done()
				ended <- struct{}{}
			}
			return 0
		}, plugintest.AgentPod("agent-1", "node-1"))
	}
	if err := agent(false).WatchPulls(t.Context(), "node-1", func(accesslog.Head) {}, func(accesslog.Pull) error { return nil }); err == nil || err.Error() != "its agent has ended" {
		t.Errorf("an agent that ends: %v", err)
	}
	enough := errors.New("enough")
	if err := agent(true).WatchPulls(t.Context(), "node-1", func(accesslog.Head) {}, func(accesslog.Pull) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("a reader that has enough: %v", err)
	}
	<-ended
	ctx, cancel := context.WithCancel(t.Context())
	if err := agent(true).WatchPulls(ctx, "node-1", func(accesslog.Head) {}, func(accesslog.Pull) error { cancel(); return nil }); err == nil {
		t.Error("a context that ends: no error")
	}
	<-ended
}
