// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitops_test has those judge sets who wait for them: kstatus by its library, and Argo CD's check, as it is shipped, in the
// Lua VM that Argo CD runs. The sets are what the manager makes of them on a real API server.
package gitops_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/mirrorset/mirrorset/test/controlplane"
)

// verdict is what both say of a set.
type verdict struct {
	kstatus status.Status
	argo    string
}

var (
	inProgress = verdict{status.InProgressStatus, "Progressing"}
	current    = verdict{status.CurrentStatus, "Healthy"}
	failed     = verdict{status.FailedStatus, "Degraded"}
	// Argo CD itself judges what is being deleted, before it asks a check.
	terminating = verdict{status.TerminatingStatus, "Healthy"}
)

// judge returns what both say, and their messages.
func (c *cluster) judge(set *unstructured.Unstructured) (v verdict, messages string, err error) {
	result, err := status.Compute(set)
	if err != nil {
		return v, "", err
	}
	v.kstatus = result.Status
	var said string
	v.argo, said, err = runLua(c.checks[set.GetKind()], set)
	return v, result.Message + "\n" + said, err
}

// runLua runs a check as Argo CD does, with no more libraries than any of its versions opens for a check of an administrator's.
func runLua(script string, set *unstructured.Unstructured) (health, message string, err error) {
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	if err := l.CallByParam(lua.P{Fn: l.NewFunction(lua.OpenBase), Protect: true}, lua.LString(lua.BaseLibName)); err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	l.SetContext(ctx)
	l.SetGlobal("obj", asLua(l, set.Object))
	if err := l.DoString(script); err != nil {
		return "", "", err
	}
	answer, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", fmt.Errorf("the check returns %s", l.Get(-1).Type())
	}
	return lua.LVAsString(answer.RawGetString("status")), lua.LVAsString(answer.RawGetString("message")), nil
}

// asLua makes a value of JSON one of Lua's.
func asLua(l *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := l.NewTable()
		for key, v := range value {
			table.RawSetString(key, asLua(l, v))
		}
		return table
	case []any:
		table := l.NewTable()
		for _, v := range value {
			table.Append(asLua(l, v))
		}
		return table
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	}
	return lua.LNil
}

func TestSetsAreJudgedByWhereTheNodesAre(t *testing.T) {
	c := startCluster(t)
	const digests, tags = "ImageDigestMirrorSet", "ImageTagMirrorSet"
	c.apply(t, digests, "first", "quay.io/team", "mirror.local/q")
	c.want(t, digests, "first", inProgress, "latest observed generation is -1")

	stop := c.startManager(t)
	one, two := c.node(t, "node-1"), c.node(t, "node-2")
	c.startAgent(t, one)
	c.want(t, digests, "first", inProgress, "in force on 1 of 2 nodes; waiting for node-2")
	c.startAgent(t, two)
	c.want(t, digests, "first", current, "in force: every node has put it in force")

	block := two.put(t, "etc/containers/registries.conf.d/99-local.conf", "[[registry]]\nprefix = \"quay.io\"\nlocation = \"quay.io\"\nblocked = true\n")
	c.want(t, digests, "first", failed, "now 1 node has not: node-2 (/etc/containers/registries.conf.d/99-local.conf on this node blocks")
	c.apply(t, tags, "second", "quay.io/other", "mirror.local/o")
	c.want(t, tags, "second", failed, "in force on 1 of 2 nodes; failing: node-2 (/etc/containers/registries.conf.d/99-local.conf on this node blocks")
	block.remove(t)
	c.want(t, digests, "first", current, "in force: every node")
	c.want(t, tags, "second", current, "in force: every node")

	gone := c.seer(t, "node-3", "mirror.local/q")
	if out, err := c.kubectl(t, "wait", "--for=condition=MirrorsReachable=false", "--timeout=20s", "idms/first").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.want(t, digests, "first", current, "in force: every node")
	gone()

	stop()
	c.apply(t, digests, "first", "quay.io/team", "mirror.local/changed")
	c.want(t, digests, "first", inProgress, "generation is 2, but latest observed generation is 1")
	c.startManager(t)
	c.want(t, digests, "first", current, "in force: every node")

	c.apply(t, digests, "third", "ghcr.io", "mirror")
	c.want(t, digests, "third", failed, `mirrors[0] "mirror" is ignored`)

	must(t, c.kubectl(t, "-n", controlplane.Namespace, "annotate", "configmap/containers-registries.conf", `mirrorset.io/paused={"by": "anna", "why": "a migration"}`).Run())
	c.apply(t, digests, "first", "quay.io/team", "mirror.local/later")
	c.want(t, digests, "first", failed, "paused by anna (a migration)")
	must(t, c.kubectl(t, "-n", controlplane.Namespace, "annotate", "configmap/containers-registries.conf", "mirrorset.io/paused-").Run())
	c.want(t, digests, "first", current, "in force: every node")

	c.finalize(t, digests, "first")
	c.delete(t, digests, "first")
	c.want(t, digests, "first", terminating, "")
}

func TestASetUnderOpenShiftsCRDIsCurrentAtOnce(t *testing.T) {
	set := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "config.openshift.io/v1", "kind": "ImageDigestMirrorSet", "metadata": map[string]any{"name": "a", "generation": int64(1)}}}
	for _, conditions := range []any{nil, map[string]any{}} { // what is pruned leaves an empty status
		if conditions != nil {
			set.Object["status"] = conditions
		}
		result, err := status.Compute(set)
		if err != nil || result.Status != status.CurrentStatus {
			t.Errorf("got %+v, error %v, other than docs/how-to/gitops.md says", result, err)
		}
	}
}

var linux = metav1.ObjectMeta{Labels: map[string]string{corev1.LabelOSStable: "linux"}}
