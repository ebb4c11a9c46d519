// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// lookAtAPIs wants the resources of Mirrorset served. Without those that an older manager does not have, the others work.
func (p *patient) lookAtAPIs(ctx context.Context) error {
	served := make(map[schema.GroupVersionResource]bool)
	names := make([]string, 0, len(kinds.All))
	for _, kind := range kinds.All {
		names = append(names, kind.Name+"s")
		resource := kind.GroupVersionResource()
		if err := p.lookAtAPI(ctx, resource, served); err != nil {
			return err
		}
		switch {
		case served[resource]:
		case served[kinds.Digest.GroupVersionResource()]:
			p.found.add(odd, "crd/"+kind.CRDName(), cluster.Lack(kind), "To use "+kind.Name+"s, upgrade Mirrorset. If its version supports them, check the conditions of the CRD:\n"+getCRD(resource))
		default:
			p.missAPI(resource)
		}
	}
	if err := p.lookAtAPI(ctx, cluster.NodeResource, served); err != nil {
		return err
	}
	if !served[cluster.NodeResource] {
		p.missAPI(cluster.NodeResource)
	}
	if len(served) == len(kinds.All)+1 {
		p.found.add(fine, "crds", strings.Join(names, ", ")+" and MirrorNodes are served", "")
	}
	return nil
}

// lookAtAPI notes a resource that is served.
func (p *patient) lookAtAPI(ctx context.Context, resource schema.GroupVersionResource, served map[schema.GroupVersionResource]bool) error {
	list, err := p.Resources(ctx, resource.GroupVersion())
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if err == nil && slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == resource.Resource }) {
		served[resource] = true
	}
	return nil
}

func (p *patient) missAPI(resource schema.GroupVersionResource) {
	p.found.add(wrong, "crd/"+resource.GroupResource().String(), "the API server does not serve it in version "+resource.Version,
		"Install Mirrorset again. If the CRD exists, check its conditions:\n"+getCRD(resource))
}

func getCRD(resource schema.GroupVersionResource) string {
	return "kubectl get crd " + resource.GroupResource().String() + " -o yaml"
}

// lookAtSets wants sets that are used whole and say what they mean.
func (p *patient) lookAtSets(ctx context.Context) error {
	sets, err := p.Sets(ctx)
	if err != nil {
		return err
	}
	before := len(p.found)
	p.lookAtRollout(sets)
	for i := range sets {
		if c := meta.FindStatusCondition(sets[i].Status.Conditions, configv1.ConditionApplied); c != nil && c.Reason == configv1.ReasonNotPublished {
			p.found.add(wrong, sets[i].Ref().Arg(), c.Message, "")
		}
	}
	merged := kinds.Merge(sets, nil)
	if merged.TooLarge {
		p.found.add(wrong, "sets", mirrors.ErrTooLarge.Error(), "")
	}
	for _, f := range merged.Findings {
		h := odd
		switch f.Class() {
		case mirrors.Informational:
			continue
		case mirrors.LeftOut:
			h = wrong
		}
		message := fmt.Sprintf("%s: %s", f.Reason, f.Message)
		if path := f.Path(); path != "" {
			message = fmt.Sprintf("%s: %s: %s", f.Reason, path, f.Message)
		}
		p.found.add(h, f.Entries[0].Arg(), message, "To see what it means: kubectl mirrors explain-finding "+string(f.Reason)+". To change the sets: "+edit(mirrors.Objects(f.Entries)))
	}
	switch {
	case len(p.found) > before:
	case len(sets) == 0:
		p.found.add(fine, "sets", "there are no sets", "")
	default:
		p.found.add(fine, "sets", output.Plural(len(sets), "set has no problem", "sets have no problems"), "")
	}
	return nil
}

// edit returns the command that opens sets in an editor.
func edit(sets []mirrors.Object) string {
	names, args := make([]string, len(sets)), make([]string, len(sets))
	oneKind := true
	for i, s := range sets {
		names[i], args[i] = s.Name, s.Arg()
		oneKind = oneKind && s.Kind == sets[0].Kind
	}
	if oneKind {
		return "kubectl edit " + sets[0].Kind.ShortName + " " + strings.Join(names, " ")
	}
	return "kubectl edit " + strings.Join(args, " ")
}
