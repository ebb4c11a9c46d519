// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
)

const (
	// fieldManager owns what these verbs write.
	fieldManager = "kubectl-mirrors"
	// editorRole is the ClusterRole that lets people use them.
	editorRole = "mirrorset-rollout-editor"
)

// steer writes annotations of the ConfigMap by what it says, and reads it again where somebody else wrote it meanwhile. An annotation that is nil
// goes.
func steer(ctx context.Context, c *cluster.Cluster, dryRun []string, change func(*corev1.ConfigMap) (map[string]any, error)) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		cm, err := c.ConfigMap(ctx)
		if err != nil {
			return err
		}
		annotations, err := change(cm)
		if err != nil {
			return err
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": cm.ResourceVersion, "annotations": annotations}})
		if err != nil {
			return err
		}
		_, err = c.ConfigMaps(c.Namespace).Patch(ctx, payload.ConfigMapName, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager, DryRun: dryRun})
		return err
	})
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("you need the rights of ClusterRole %s in namespace %s: %w", editorRole, c.Namespace, err)
	}
	return err
}

// newOrder says who gives an order now.
func newOrder(ctx context.Context, c *cluster.Cluster, why string) (payload.Order, error) {
	o := payload.Order{At: metav1.Time{Time: time.Now().UTC().Truncate(time.Second)}, Why: why}
	review, err := c.SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	switch {
	case err == nil:
		o.By = review.Status.UserInfo.Username
	case !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err): // else it stays unknown
		return o, err
	}
	return o, nil
}
