// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package uninstall

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// fate is what becomes of an object.
type fate int

// The fates.
const (
	goes        fate = iota
	goesLast         // once nothing else has OLM look for it
	isOpenShift      // and stays
	isHelm           // and is left to Helm
)

// item is an object outside the namespace that is labelled as part of Mirrorset.
type item struct {
	resource schema.GroupVersionResource
	name     string
	fate     fate
}

func (i item) String() string {
	return i.resource.Resource + " " + i.name
}

// items returns all of them, in the order in which they are deleted.
func (u *uninstaller) items(ctx context.Context) (all []item, err error) {
	for _, resource := range []schema.GroupVersionResource{
		crdResource,
		{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
		{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"},
		{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"},
	} {
		list, err := u.Dynamic.Resource(resource).List(ctx, metav1.ListOptions{LabelSelector: installedSelector})
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			all = append(all, item{resource, list.Items[i].GetName(), fateOf(&list.Items[i])})
		}
	}
	return all, nil
}

func fateOf(object *unstructured.Unstructured) fate {
	switch {
	case configv1.KeptByOpenShift(object):
		return isOpenShift
	case object.GetLabels()[componentLabel] == forOLM:
		return goesLast
	case object.GetAnnotations()["meta.helm.sh/release-name"] != "":
		return isHelm
	}
	return goes
}

// plan says what is about to happen, a line each, and changes nothing.
func (u *uninstaller) plan(ctx context.Context) (lines []string, err error) {
	manager, err := u.manager(ctx)
	if err == nil {
		err = u.refuseOLM(manager)
	}
	if err != nil {
		return nil, err
	}
	agents, err := u.DaemonSets(u.Namespace).Get(ctx, cluster.AgentDaemonSet, metav1.GetOptions{})
	if err != nil {
		return nil, u.noAgents(err)
	}
	lines = append(lines, fmt.Sprintf("Remove the files of Mirrorset from %s: images come from their sources again, blocked sources too",
		output.Plural(int(agents.Status.DesiredNumberScheduled), "node", "nodes")))
	items, err := u.items(ctx)
	if err != nil {
		return nil, err
	}
	sets, err := u.Sets(ctx)
	if err != nil && !apierrors.IsNotFound(err) { // an interrupted run has deleted their CRD
		return nil, err
	}
	for _, i := range items {
		switch i.fate {
		case goes:
			lines = append(lines, "Delete "+i.String()+withSets(i, sets))
		case goesLast:
			lines = append(lines, "Delete "+i.String()+withSets(i, sets)+", unless OLM needs it for something else")
		case isOpenShift:
			lines = append(lines, "Leave "+i.String()+", which belongs to OpenShift")
		}
	}
	if u.release != "" {
		return append(lines, "Leave the rest to Helm, including namespace "+u.Namespace), nil
	}
	return append(lines, "Delete namespace "+u.Namespace+" and everything in it"), nil
}

// withSets says how many sets go with their CRD.
func withSets(i item, sets []kinds.Set) string {
	for _, kind := range kinds.All {
		if i.resource != crdResource || i.name != kind.CRDName() {
			continue
		}
		these := slices.DeleteFunc(slices.Clone(sets), func(s kinds.Set) bool { return s.Ref().Kind.Name != kind.Name })
		return ", and with it " + output.Plural(len(these), kind.Name, kind.Name+"s")
	}
	return ""
}

// agree has a person at a terminal say yes. Nothing happens without.
func (o *options) agree(in io.Reader, out io.Writer) error {
	if o.yes {
		return nil
	}
	if !output.IsTerminal(in) {
		return errors.New("nothing was changed, because standard input is not a terminal and nobody can confirm. Use --yes, or --dry-run to see what would be done")
	}
	fmt.Fprint(out, "Continue? [y/N] ")
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}
