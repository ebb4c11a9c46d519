// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"errors"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/images"
)

// wanted is an image to check.
type wanted struct {
	ref  mirrors.Reference
	pods []string // those that name it, as namespace/name
	// text is what Pods name that is no reference; wrong says why. Otherwise both are empty.
	text, wrong string
}

func (w *wanted) name() string {
	if w.wrong != "" {
		return w.text
	}
	return w.ref.String()
}

// all returns the images asked for, each once, in the order of their names.
func (o *options) all(cmd *cobra.Command, args []string, c *cluster.Cluster) ([]wanted, error) {
	byName := make(map[string]wanted)
	add := func(w wanted) {
		w.pods = append(byName[w.name()].pods, w.pods...)
		byName[w.name()] = w
	}
	for _, arg := range args {
		ref, err := images.Parse(arg)
		if err != nil {
			return nil, err
		}
		add(wanted{ref: ref})
	}
	if o.images != "" {
		refs, err := images.ReadFile(o.images, cmd.InOrStdin())
		if err != nil {
			return nil, err
		}
		for _, ref := range refs {
			add(wanted{ref: ref})
		}
	}
	if o.pods {
		pods, err := imagesOfPods(cmd.Context(), c)
		if err != nil {
			return nil, err
		}
		for _, image := range slices.Sorted(maps.Keys(pods)) {
			w := wanted{pods: pods[image]}
			if w.ref, err = mirrors.ParseReference(image); err != nil {
				w.text, w.wrong = image, err.Error()
			}
			add(w)
		}
	}
	switch {
	case len(byName) > 0:
	case o.pods:
		return nil, errors.New("there is no image to check: the cluster has no Pods")
	default:
		return nil, errors.New("there is no image to check: name images, or use --images or --pods")
	}
	all := make([]wanted, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		w := byName[name]
		slices.Sort(w.pods)
		w.pods = slices.Compact(w.pods)
		all = append(all, w)
	}
	return all, nil
}
