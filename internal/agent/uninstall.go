// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/rewatch"
)

const (
	// comesBack is how long an agent that was told to end waits for a deleted Deployment to come back, as `kubectl replace
	// --force` and some GitOps tools delete it and create it again.
	comesBack = 5 * time.Second
	// eventsArrive bounds the wait for news of the Deployment where the agent may no longer ask for its namespace. The Pod's
	// terminationGracePeriodSeconds must leave time for this and for the clean-up.
	eventsArrive = 20 * time.Second
	// answer bounds the wait for an answer of the API server.
	answer = 3 * time.Second
	// cleanUp bounds the wait for the other agent of this host, which may be cleaning the node.
	cleanUp = 20 * time.Second
	// ownerPoll is how often the agent looks again.
	ownerPoll = 200 * time.Millisecond
)

// owner is the manager's Deployment, which the agents' DaemonSet belongs to. When an agent must end, the Deployment shows if it is being replaced or
// restarted, or uninstalled (docs/adr/0016).
type owner struct {
	deployments metadata.ResourceInterface
	namespaces  metadata.ResourceInterface
	namespace   string
	name        string
	log         logr.Logger
	informer    cache.SharedIndexInformer
	files       string // where those of ours may be, for people
}

// followOwner watches the Deployment until the context ends. An established watch outlives the rights that it was started with, so
// the agent learns of a deletion even where its role and its account go at the same moment.
func followOwner(ctx context.Context, config Config, files string) *owner {
	deployments := config.Clients.metadata.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace(config.Namespace)
	o := &owner{
		deployments: deployments, namespaces: config.Clients.metadata.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")),
		namespace: config.Namespace, name: config.Manager, log: config.Log, files: files,
		informer: rewatch.InformerOfOne(config.Manager, deployments.List, deployments.Watch, &metav1.PartialObjectMetadata{}),
	}
	go o.informer.RunWithContext(ctx)
	return o
}

// uninstalled returns why Mirrorset is being uninstalled; "" if nothing shows that it is. Only an answer of the API server counts: if the API server
// is away, or refuses the agent, the node stays as it is (ADR 3).
func (o *owner) uninstalled(ctx context.Context) (why string) {
	began, gone := time.Now(), time.Time{}
	for {
		ends, errNamespace := o.namespaceEnds(ctx)
		deleted, err := o.deleted(ctx)
		if !deleted {
			gone = time.Time{}
		} else if gone.IsZero() {
			gone = time.Now()
		}
		switch err = errors.Join(errNamespace, err); {
		case ends:
			return "namespace " + o.namespace + " is being deleted"
		case deleted && time.Since(gone) >= comesBack:
			return "the manager's Deployment was deleted"
		case !deleted && !refused(err):
			return ""
		case !deleted && time.Since(began) >= eventsArrive:
			o.log.Error(err, "This node keeps its rules in force, because the API server no longer answers if Mirrorset is being uninstalled. "+
				"If it is, run the command in docs/how-to/uninstall.md on the node as root: the command removes the files of Mirrorset, which close blocked sources", "files", o.files)
			return ""
		}
		select {
		case <-ctx.Done():
			return ""
		case <-time.After(ownerPoll):
		}
	}
}

// deleted requests the Deployment. Without an answer, the watch may have reported its deletion.
func (o *owner) deleted(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	d, err := o.deployments.Get(ctx, o.name, metav1.GetOptions{})
	switch {
	case err == nil:
		return d.DeletionTimestamp != nil, nil
	case apierrors.IsNotFound(err):
		return true, nil
	case !o.informer.HasSynced():
		return false, err
	}
	for _, object := range o.informer.GetStore().List() {
		if d, ok := object.(*metav1.PartialObjectMetadata); ok && d.DeletionTimestamp == nil {
			return false, err
		}
	}
	return true, nil
}

// namespaceEnds asks for the namespace, whose deletion may take the Pods before the Deployment.
func (o *owner) namespaceEnds(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	namespace, err := o.namespaces.Get(ctx, o.namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return err == nil && namespace.DeletionTimestamp != nil, err
}

// refused returns whether the API server no longer knows the agent, or what it may do.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
}

// clean removes everything of Mirrorset from the host, apart from the lock. It removes the accepted payload last, so that the next agent can repair a
// node after a killed clean-up.
func (n *node) clean() error {
	if err := n.sinks.each(sink.Sink.Clean); err != nil {
		return fmt.Errorf("cleaning this node (to do so by hand, see docs/how-to/uninstall.md): %w", err)
	}
	return n.state.remove()
}
