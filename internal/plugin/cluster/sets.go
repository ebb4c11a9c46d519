// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"io"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/mirrorset/mirrorset/internal/kinds"
)

// Sets returns all sets of all kinds, those of each in the order of their names. A cluster that serves ImageDigestMirrorSets and not
// another kind, as one with an older manager, has no sets of that.
func (c *Cluster) Sets(ctx context.Context) (all []kinds.Set, err error) {
	c.lacks = nil
	for _, kind := range kinds.All {
		these, err := list(ctx, c, kind.GroupVersionResource(), AsSet(kind))
		switch {
		case kind != kinds.Digest && apierrors.IsNotFound(err):
			c.lacks = append(c.lacks, kind)
		case err != nil:
			return nil, err
		}
		all = append(all, these...)
	}
	return all, nil
}

// Served returns the kinds of sets that the cluster could have, as it was when they were read last.
func (c *Cluster) Served() []*kinds.Kind {
	return slices.DeleteFunc(slices.Clone(kinds.All), func(k *kinds.Kind) bool { return slices.Contains(c.lacks, k) })
}

// WarnOfLacks says what it means that the cluster does not serve all kinds of sets, as it was when they were read last.
func (c *Cluster) WarnOfLacks(stderr io.Writer) {
	for _, kind := range c.lacks {
		fmt.Fprintf(stderr, "warning: NotServed: %s\n", Lack(kind))
	}
}

// Lack says what it means that a cluster with ImageDigestMirrorSets does not serve another kind of sets.
func Lack(kind *kinds.Kind) string {
	return fmt.Sprintf("the API server does not serve %s, because the manager is older than this plugin: the cluster has no %ss, and you cannot apply any",
		kind.GroupVersionResource().GroupResource(), kind.Name)
}

// AsSet returns what converts an object that the dynamic client returned to a set.
func AsSet(kind *kinds.Kind) func(object any) (kinds.Set, error) {
	return func(object any) (kinds.Set, error) {
		return kind.Decode(func(empty any) error { return convert(object, empty) })
	}
}
