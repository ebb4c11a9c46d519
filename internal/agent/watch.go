// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/trial"
	"github.com/mirrorset/mirrorset/internal/apiclient"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/rewatch"
)

// How soon a failed attempt is made again.
const (
	retryFirst = 100 * time.Millisecond
	retryLast  = 30 * time.Second
)

// loop calls reconcile, one call at a time, whenever the ConfigMap or the host's files changed.
type loop struct {
	node     *node
	name     string // the Node's
	reporter *reporter
	log      logr.Logger
	queue    workqueue.TypedRateLimitingInterface[struct{}]
	informer cache.SharedIndexInformer
	trials   *trial.Trials
	files    *fsnotify.Watcher // nil while there is none
	wakes    <-chan struct{}   // asks for a pass
	taken    *corev1.ConfigMap // the last one that was taken, or had no news, and so is not read again
	hostRoot string
	rescan   time.Duration
	watched  map[string]fs.FileInfo // the folders by name, as they were when the watch of each began
	unseen   string                 // the last error of a watch, so that each is logged once
	failed   string                 // the last error, so that each is logged once
}

func watch(ctx context.Context, config Config, n *node) error {
	l := &loop{
		node:     n,
		name:     config.NodeName,
		log:      config.Log,
		rescan:   config.Rescan,
		wakes:    n.wakes,
		hostRoot: config.HostRoot,
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[struct{}](retryFirst, retryLast)),
	}
	configMaps := apiclient.Objects(config.Clients.core, "configmaps", config.Namespace)
	l.informer = rewatch.InformerOfOne(payload.ConfigMapName, configMaps.ListWithContext, configMaps.WatchWithContext, &corev1.ConfigMap{})
	wake := func(any) { l.queue.Add(struct{}{}) }
	_, err := l.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    wake,
		UpdateFunc: func(_, now any) { wake(now) },
	})
	if err != nil {
		return err
	}
	n.isInPod = config.IsInPod
	l.trials = trial.New(n.trialConfig(), n.accepted)
	defer l.trials.Close()
	if l.reporter, err = newReporter(config, func() { wake(nil) }); err != nil {
		return err
	}
	n.runtimeVersion = l.reporter.runtimeVersion
	if err := n.granted.Follow(ctx, config.Clients.core, config.Namespace, func() { wake(nil) }); err != nil {
		return err
	}
	var reporting sync.WaitGroup
	reporting.Go(func() { l.reporter.run(ctx) })
	defer reporting.Wait()
	go l.informer.RunWithContext(ctx)
	go l.wake(ctx)
	l.queue.Add(struct{}{}) // what was restored is put in force before the API server is met
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), l.informer.HasSynced) {
			l.queue.Add(struct{}{}) // there may be nothing published, which nothing else tells
		}
	}()
	for err == nil && l.next(ctx) {
		err = n.sinks.each(sink.Sink.Lost)
	}
	if l.files == nil {
		return err
	}
	return errors.Join(err, l.files.Close())
}

// wake queues a pass whenever a sink asks for one, and on every tick for what no event told; it shuts the queue down at the end.
func (l *loop) wake(ctx context.Context) {
	defer l.queue.ShutDown()
	ticker := time.NewTicker(l.rescan)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-l.wakes:
		}
		l.queue.Add(struct{}{})
	}
}

// next does one pass; it returns false once the queue is shut down.
func (l *loop) next(ctx context.Context) bool {
	item, shutdown := l.queue.Get()
	if shutdown {
		return false
	}
	defer l.queue.Done(item)
	err := l.pass(ctx)
	if l.informer.HasSynced() || l.node.accepted != nil { // else it is not known yet whether there is something to follow
		o := l.node.outcome(err)
		o.Trial = l.trials.Report()
		l.reporter.report(o)
	}
	err = errors.Join(err, l.node.again)
	if err == nil {
		l.failed = ""
		l.queue.Forget(item)
		return true
	}
	if err.Error() != l.failed {
		l.failed = err.Error()
		l.log.Error(err, "The rules in force on this node stay as they are")
	}
	l.queue.AddRateLimited(item)
	return true
}

// pass follows what is published, and has a change tried.
func (l *loop) pass(ctx context.Context) error {
	l.node.sinks.serve(ctx)
	l.node.look()
	l.watchFolders()
	defer func() {
		if l.watchFolders() { // those that this pass made: nothing tells what happened in them before the watch began
			l.queue.Add(struct{}{})
		}
	}()
	cm := l.published()
	err := l.follow(cm)
	l.trials.Follow(l.node.accepted, l.node.since, l.node.isWhole(), func() *sink.Accepted { return l.fleet(cm) })
	return err
}

// follow takes what is published, or else has the node's files repaired.
func (l *loop) follow(cm *corev1.ConfigMap) (refused error) {
	if cm != nil && cm != l.taken {
		p, err := payload.For(cm, l.name)
		if err == nil {
			var taken bool
			if taken, err = l.node.take(p); taken || err == nil {
				l.taken = cm
			}
			if taken {
				return err
			}
		}
		if errors.Is(err, payload.ErrNewer) {
			err = fmt.Errorf("this agent is older than the manager and waits for its upgrade: %w", err)
		}
		refused = err
	}
	return errors.Join(refused, l.node.repair())
}

// fleet returns, for a canary that has what canaries try, what all other nodes have (C1).
func (l *loop) fleet(cm *corev1.ConfigMap) *sink.Accepted {
	if cm == nil {
		return nil
	}
	canary, err := payload.ReadCanary(cm)
	if err != nil || !canary.Takes(l.name) || canary.Digest != l.node.accepted.Digest {
		return nil
	}
	fleet, err := payload.Read(cm)
	if err != nil {
		return nil
	}
	accepted, _ := decode(fleet) // nil where it fails
	return accepted
}

// published returns the ConfigMap as last seen; nil where there is none.
func (l *loop) published() *corev1.ConfigMap {
	for _, object := range l.informer.GetStore().List() {
		if cm, ok := object.(*corev1.ConfigMap); ok {
			return cm
		}
	}
	return nil
}
