// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

const (
	// floors is the folder, below bin, of the programs that ours are compared with.
	floors = "rest"
	// dropIn is what an agent writes.
	dropIn = "etc/containers/registries.conf.d/50-mirrorset.conf"
	// firstPort is the first redirector's.
	firstPort = 20_289
	// writers is how many sets are created at the same time.
	writers  = 16
	patience = 10 * time.Minute
	poll     = 100 * time.Millisecond
)

// bench has what is measured.
type bench struct {
	options
	plane   *controlplane.ControlPlane
	api     client.Client // an administrator's
	dir     string        // of the agents' hosts
	manager *controlplane.Process
	running []*controlplane.Process
	sets    int // made so far
}

func (b *bench) start(ctx context.Context, account, node, program string, args ...string) (*controlplane.Process, error) {
	p, err := b.plane.StartProgram(ctx, program, types.NamespacedName{Namespace: controlplane.Namespace, Name: account}, node, nil, args...)
	if err == nil {
		b.running = append(b.running, p)
	}
	return p, err
}

// connect makes the administrator's client.
func (b *bench) connect() (err error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(appsv1.AddToScheme(scheme), corev1.AddToScheme(scheme), configv1.AddToScheme(scheme)); err != nil {
		return err
	}
	config := rest.CopyConfig(b.plane.Config)
	config.QPS = -1
	b.api, err = client.New(config, client.Options{Scheme: scheme})
	return err
}

// stop ends all that was started.
func (b *bench) stop() (err error) {
	for _, p := range b.running {
		err = errors.Join(err, p.Stop())
	}
	b.running = nil
	return err
}

// withLogs adds what the programs said to an error.
func (b *bench) withLogs(err error) error {
	if err != nil {
		for _, p := range b.running {
			fmt.Fprintln(os.Stderr, p.Log())
		}
	}
	return err
}

// agents measures some agents next to as many floors, each on its own node, when there are as many sources.
func (b *bench) agents(ctx context.Context, sources int) error {
	if err := b.makeSets(ctx, sources); err != nil {
		return err
	}
	var ours, least []*controlplane.Process
	for i := range b.runs {
		name := fmt.Sprintf("rest-%d-%d", sources, i)
		host := filepath.Join(b.dir, name)
		if err := os.MkdirAll(filepath.Join(host, filepath.Dir(dropIn)), 0o755); err != nil {
			return err
		}
		agent, err := b.start(ctx, controlplane.AgentAccount, name, "agent", "--namespace", controlplane.Namespace, "--host-root", host, "--node-name", name,
			"--redirector-port", fmt.Sprint(firstPort+sources+i), "--ready-file", filepath.Join(host, "ready"), "--respawn")
		if err != nil {
			return err
		}
		floor, err := b.start(ctx, controlplane.AgentAccount, name, filepath.Join(floors, "configmap"), controlplane.Namespace)
		if err != nil {
			return err
		}
		ours, least = append(ours, agent), append(least, floor)
		if err := b.await(ctx, agent, func() bool {
			text, _ := os.ReadFile(filepath.Join(host, dropIn)) // not there yet
			return strings.Contains(string(text), source(sources-1))
		}); err != nil {
			return err
		}
	}
	mirrorset, floor, err := atRest(ctx, b.options, ours, least)
	if err != nil {
		return err
	}
	for i := range mirrorset {
		mirrorset[i].print("agent/sources=%d/way=mirrorset", sources)
		floor[i].print("agent/sources=%d/way=floor", sources)
	}
	return errors.Join(b.end(append(ours, least...)), b.api.DeleteAllOf(ctx, &corev1.Node{})) // no set waits for nodes without an agent
}

// managers measures the one manager next to one floor, in as many windows as there are runs.
func (b *bench) managers(ctx context.Context) error {
	if err := b.makeSets(ctx, b.options.sets); err != nil {
		return err
	}
	if err := b.completeAgents(ctx); err != nil {
		return err
	}
	// A manager that has just started, as after an upgrade, and not a manager that has seen each set come.
	if err := b.manager.Stop(); err != nil {
		return err
	}
	again, err := b.manager.Again()
	if err != nil {
		return err
	}
	b.manager, b.running = again, append(b.running, again)
	floor, err := b.start(ctx, controlplane.ManagerAccount, "", filepath.Join(floors, "sets"))
	if err != nil {
		return err
	}
	if err := b.await(ctx, floor, func() bool { return strings.Contains(floor.Log(), "in step") }); err != nil {
		return err
	}
	for range b.runs {
		ours, least, err := atRest(ctx, b.options, []*controlplane.Process{again}, []*controlplane.Process{floor})
		if err != nil {
			return err
		}
		ours[0].print("manager/sets=%d/way=mirrorset", b.sets)
		least[0].print("manager/sets=%d/way=floor", b.sets)
	}
	return nil
}

// completeAgents says of the agents' DaemonSet what its controller would say without any node. A manager looks more often while agents have no Pod.
func (b *bench) completeAgents(ctx context.Context) error {
	d := &appsv1.DaemonSet{}
	if err := b.api.Get(ctx, types.NamespacedName{Namespace: controlplane.Namespace, Name: operand.AgentName}, d); err != nil {
		return err
	}
	d.Status.ObservedGeneration = d.Generation
	return b.api.Status().Update(ctx, d)
}

// end ends programs that were measured.
func (b *bench) end(these []*controlplane.Process) (err error) {
	for _, p := range these {
		err = errors.Join(err, p.Stop())
	}
	return err
}

func source(i int) string {
	return fmt.Sprintf("registry-%d.example/team/app-%d", i%10, i)
}

// makeSets makes sets of one source with three mirrors each until there are as many, and waits until the manager has said in the last what
// became of it.
func (b *bench) makeSets(ctx context.Context, want int) error {
	next, failed := make(chan int), make(chan error, writers)
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for i := range next {
				if err := b.api.Create(ctx, set(i)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	for ; b.sets < want && len(failed) == 0; b.sets++ {
		next <- b.sets
	}
	close(next)
	writing.Wait()
	close(failed)
	if err := <-failed; err != nil {
		return err
	}
	last := set(want - 1)
	return b.await(ctx, b.manager, func() bool { // it writes them in their order
		return b.api.Get(ctx, client.ObjectKeyFromObject(last), last) == nil && len(last.Status.Conditions) > 0
	})
}

func set(i int) *configv1.ImageDigestMirrorSet {
	s := &configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("set-%05d", i)}}
	places := []configv1.ImageMirror{}
	for m := range 3 {
		places = append(places, configv1.ImageMirror(fmt.Sprintf("mirror-%d.example:5000/%d/app-%d", m, i%100, i)))
	}
	s.Spec.ImageDigestMirrors = []configv1.ImageDigestMirrors{{Source: source(i), Mirrors: places}}
	return s
}

// await waits until something is so, unless the program that brings it about ends before.
func (b *bench) await(ctx context.Context, p *controlplane.Process, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !so() {
		select {
		case <-p.Exited():
			return errors.New("a program ended")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
	return nil
}
