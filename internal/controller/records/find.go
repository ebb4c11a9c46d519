// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package records

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/history"
)

// perPage bounds how many objects are in memory at a time. Each can have 1.5 MB.
const perPage = 5

// Find returns the record of the latest revision with a digest of the text, or nil where there is none.
func (r *Recorder) Find(ctx context.Context, digest string) (*history.Record, error) {
	return r.find(ctx, func(found *history.Record) bool { return found.Digest == digest })
}

// Latest returns the record of the latest revision, or nil where there is none.
func (r *Recorder) Latest(ctx context.Context) (*history.Record, error) {
	return r.find(ctx, func(*history.Record) bool { return true })
}

// find reads the objects that can be the latest one that is wanted, and passes over those that are no records.
func (r *Recorder) find(ctx context.Context, wanted func(*history.Record) bool) (found *history.Record, err error) {
	err = r.each(ctx, func(object *appsv1.ControllerRevision) error {
		seen, err := history.Glance(object)
		if err != nil || !wanted(&seen) || !later(&seen, found) {
			return err
		}
		record, err := history.Read(object)
		if err == nil {
			found = &record
		}
		return err
	})
	return found, err
}

// each visits all objects that are labeled as records, live. It logs each problem with an object once.
func (r *Recorder) each(ctx context.Context, visit func(*appsv1.ControllerRevision) error) error {
	logged := make(map[types.UID]bool)
	for next := ""; ; {
		var page appsv1.ControllerRevisionList
		err := r.Live.List(ctx, &page, client.InNamespace(r.Namespace), client.MatchingLabels(history.Labels), client.Limit(perPage), client.Continue(next))
		if err != nil {
			return fmt.Errorf("listing the records of what was published: %w", err)
		}
		for i := range page.Items {
			object := &page.Items[i]
			err := visit(object)
			if logged[object.UID] = r.logged[object.UID]; err != nil && !logged[object.UID] {
				logged[object.UID] = true
				ctrl.LoggerFrom(ctx).Error(err, "Ignoring an object that has the labels of a record of rules but is not one")
			}
		}
		if next = page.Continue; next == "" {
			r.logged = logged
			return nil
		}
	}
}
