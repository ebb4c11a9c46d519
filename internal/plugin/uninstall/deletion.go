// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package uninstall

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var crdResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

const (
	// forOLM is the value of componentLabel on CRDs that the manager made for OLM, which looks for them as long as the cluster serves
	// anything of OpenShift's configuration.
	forOLM          = "olm"
	componentLabel  = "app.kubernetes.io/component"
	openShiftConfig = ".config.openshift.io"
)

// deleteAll deletes the namespace and all that is labelled as part of Mirrorset outside of it. It leaves to Helm what Helm installed.
func (u *uninstaller) deleteAll(ctx context.Context) error {
	items, err := u.items(ctx)
	if err != nil {
		return err
	}
	for _, i := range items {
		switch i.fate {
		case isOpenShift:
			u.say("Left %s, which belongs to OpenShift", i)
		case goes:
			if err := u.Dynamic.Resource(i.resource).Delete(ctx, i.name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return err
			}
			u.say("Deleted %s", i)
		}
	}
	if err := u.deleteForOLM(ctx); err != nil {
		return err
	}
	if u.release != "" {
		u.say("The rest is Helm's. To delete it: helm uninstall --namespace %s %s && kubectl delete namespace %[1]s", u.Namespace, u.release)
		return nil
	}
	return u.deleteNamespace(ctx)
}

// deleteForOLM deletes the CRDs that the manager made for OLM, once nothing else is served that has OLM look for them.
func (u *uninstaller) deleteForOLM(ctx context.Context) error {
	crds := u.Dynamic.Resource(crdResource)
	made, err := crds.List(ctx, metav1.ListOptions{LabelSelector: installedSelector + "," + componentLabel + "=" + forOLM})
	if err != nil || len(made.Items) == 0 {
		return err
	}
	staying := ""
	err = await(ctx, "the CRDs to be deleted", func(ctx context.Context) (bool, error) {
		list, err := crds.List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		for i := range list.Items {
			crd := &list.Items[i]
			ours := crd.GetLabels()[partOfLabel] == partOf && crd.GetLabels()[componentLabel] == forOLM
			if ours || !strings.HasSuffix(crd.GetName(), openShiftConfig) {
				continue
			}
			if crd.GetDeletionTimestamp() != nil {
				return false, nil
			}
			staying = crd.GetName()
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for i := range made.Items {
		name := made.Items[i].GetName()
		if staying != "" {
			u.say("Left customresourcedefinitions %s, which OLM needs while %s exists", name, staying)
			continue
		}
		if err := crds.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		u.say("Deleted customresourcedefinitions %s", name)
	}
	return nil
}

func (u *uninstaller) deleteNamespace(ctx context.Context) error {
	namespaces := u.Namespaces()
	namespace, err := namespaces.Get(ctx, u.Namespace, metav1.GetOptions{})
	if err == nil && namespace.Labels[partOfLabel] != partOf {
		return fmt.Errorf("namespace %s does not have the label %s, so it may hold more than Mirrorset and was not deleted; delete the objects of config/default in it by hand", u.Namespace, installedSelector)
	}
	if err := namespaces.Delete(ctx, u.Namespace, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	err = await(ctx, "namespace "+u.Namespace+" to be deleted", func(ctx context.Context) (bool, error) {
		_, err := namespaces.Get(ctx, u.Namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
	if err == nil {
		u.say("Deleted namespace %s", u.Namespace)
	}
	return err
}
