// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/diagnosis"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// reader is a Pod, and what was read about it. Anything that the user may not read is unknown.
type reader struct {
	*cluster.Cluster
	pod       *corev1.Pod
	events    []corev1.Event // the oldest first
	sets      []kinds.Set
	merged    *mirrors.Result // of the sets; nil where they are unknown
	published *cluster.Publication
	inForce   []mirrors.Rule // what the node should have; nil where it is unknown
	node      *mirrorsetv1alpha1.MirrorNode
	nodeErr   error
	log       diagnosis.Log
	granted   time.Time
	// grantedErr is why it is not known when the logins and authorities changed, which matters only where a mirror wants one.
	grantedErr error
	unknown    []string
}

func newReader(c *cluster.Cluster, pod *corev1.Pod) *reader {
	return &reader{Cluster: c, pod: pod}
}

// read reads everything. Of a Pod that waits for nothing, nothing is read. An error is for a cluster that does not answer.
func (r *reader) read(ctx context.Context) error {
	looks := []func(context.Context) error{r.readEvents, r.readSets, r.readPublished, r.readNode, r.readPulls, r.readGranted}
	if r.pod.Spec.NodeName == "" {
		looks = looks[:3]
	}
	for _, look := range looks {
		if len(r.waiting()) == 0 {
			return nil
		}
		if err := look(ctx); err != nil {
			return err
		}
	}
	return nil
}

// miss notes what is unknown, where the API server refuses it or does not have it. Any other error is one of the run.
func (r *reader) miss(what string, err error) error {
	if err != nil && !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) && !apierrors.IsUnauthorized(err) {
		return err
	}
	if err != nil {
		r.unknown = append(r.unknown, fmt.Sprintf("%s: %v", what, err))
	}
	return nil
}

func (r *reader) readEvents(ctx context.Context) error {
	about := fields.Set{"involvedObject.uid": string(r.pod.UID), "involvedObject.name": r.pod.Name}.AsSelector().String()
	list, err := r.Events(r.pod.Namespace).List(ctx, metav1.ListOptions{FieldSelector: about})
	if err != nil {
		return r.miss("the events of the Pod", err)
	}
	r.events = slices.DeleteFunc(list.Items, func(e corev1.Event) bool { return e.InvolvedObject.UID != r.pod.UID })
	slices.SortStableFunc(r.events, func(a, b corev1.Event) int {
		return cmp.Or(timeOf(&a).Compare(timeOf(&b)), strings.Compare(a.ResourceVersion, b.ResourceVersion))
	})
	return nil
}

// timeOf is when an event was told last, by whichever of its APIs it was written.
func timeOf(e *corev1.Event) time.Time {
	last := e.LastTimestamp.Time
	if e.Series != nil && e.Series.LastObservedTime.After(last) {
		last = e.Series.LastObservedTime.Time
	}
	if last.IsZero() {
		last = e.EventTime.Time
	}
	return last
}

func (r *reader) readSets(ctx context.Context) error {
	sets, err := r.Sets(ctx)
	if err != nil {
		return r.miss("the sets", err)
	}
	merged := kinds.Merge(sets, nil)
	r.sets, r.merged = sets, &merged
	return nil
}

func (r *reader) readPublished(ctx context.Context) error {
	p, err := r.Published(ctx)
	switch {
	case apierrors.IsNotFound(err):
		r.unknown = append(r.unknown, fmt.Sprintf("the published rules: there is no ConfigMap %s in namespace %s; name the namespace that Mirrorset is installed in with --mirrorset-namespace", payload.ConfigMapName, r.Namespace))
		return nil
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return r.miss("the published rules", err)
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil: // it is damaged, or of a newer version
		r.unknown = append(r.unknown, fmt.Sprintf("the published rules: %v", err))
		return nil
	}
	text := p.Text
	if p.Canary.Takes(r.pod.Spec.NodeName) {
		text = p.Canary.Text
	}
	rules, err := registriesconf.Decode(text)
	if err != nil {
		r.unknown = append(r.unknown, fmt.Sprintf("the published rules: %v", err))
		return nil
	}
	r.published, r.inForce = &p, append([]mirrors.Rule{}, rules...)
	return nil
}

func (r *reader) readNode(ctx context.Context) error {
	object, err := r.Dynamic.Resource(cluster.NodeResource).Get(ctx, r.pod.Spec.NodeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && r.isServed(ctx) {
		return nil // Mirrorset does not serve the node
	}
	if err != nil {
		r.nodeErr = err
		return r.miss("the report of the node", err)
	}
	node, err := cluster.As[mirrorsetv1alpha1.MirrorNode](object)
	r.node = &node
	return err
}

// isServed reports whether there are MirrorNodes at all, so that one which is not found does not exist.
func (r *reader) isServed(ctx context.Context) bool {
	_, err := r.Dynamic.Resource(cluster.NodeResource).List(ctx, metav1.ListOptions{Limit: 1})
	return err == nil
}

// readPulls asks the agent of the node for what it saw. Without it, everything else is judged.
func (r *reader) readPulls(ctx context.Context) error {
	if r.node == nil && r.nodeErr == nil {
		r.log.Unknown = "no agent runs on the node"
		return nil
	}
	pulls, err := r.Pulls(ctx, r.pod.Spec.NodeName)
	if err != nil && ctx.Err() != nil {
		return err
	}
	if err != nil {
		r.log.Unknown = err.Error()
		if !errors.Is(err, cluster.ErrNoAgent) || r.node != nil {
			r.unknown = append(r.unknown, fmt.Sprintf("the pulls that node %s saw: %v", r.pod.Spec.NodeName, err))
		}
		return nil
	}
	r.log = diagnosis.Log{Since: pulls.Since, Pulls: pulls.Pulls}
	return nil
}

func (r *reader) readGranted(ctx context.Context) error {
	r.granted, r.grantedErr = r.GrantedAt(ctx)
	if r.grantedErr != nil && ctx.Err() != nil {
		return r.grantedErr
	}
	return nil
}
