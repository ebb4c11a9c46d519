// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/config"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// The label of all objects that Mirrorset is, with its value.
const (
	partOfLabel = "app.kubernetes.io/part-of"
	nameLabel   = "app.kubernetes.io/name"
	partOf      = "mirrorset"
)

// olmCRDName is that of a CRD that OLM brings.
const olmCRDName = "clusterserviceversions.operators.coreos.com"

// Foundation is what must exist before the agents: the CRDs and the admission policies. The manager applies them itself. No way of
// installing can leave a CRD of OpenShift alone and still upgrade our own, and OLM accepts no policies at all (docs/adr/0015).
type Foundation struct {
	// Client applies the objects.
	Client client.Client
	// Live reads from the API server and not from a cache.
	Live client.Reader
	// Namespace is the manager's. The policies go with it.
	Namespace string

	settled  map[string]bool  // CRDs by name that this process has looked at
	awaits   bool             // a CRD that is being deleted must be created again
	laid     bool             // all of it was there once
	policies map[string]state // as they were after they were applied
}

// state records whether somebody changed an object.
type state struct {
	uid        types.UID
	generation int64
}

// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=imagedigestmirrorsets.config.openshift.io;imagetagmirrorsets.config.openshift.io;mirrornodes.mirrorset.io;apiservers.config.openshift.io;proxies.config.openshift.io,verbs=get;create;patch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=clusterserviceversions.operators.coreos.com,verbs=get
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies;validatingadmissionpolicybindings,resourceNames=mirrorset-agent-guard;mirrorset-set-warnings,verbs=get;create;patch
// +kubebuilder:rbac:groups="",namespace=mirrorset-system,resources=namespaces,verbs=get

// Lay applies the parts of it that are missing or that others changed.
func (f *Foundation) Lay(ctx context.Context) error {
	if err := f.layForOLM(ctx); err != nil { // which nothing here waits for
		ctrl.LoggerFrom(ctx).Error(err, "OLM may wait for a missing CRD the next time it starts")
	}
	err := errors.Join(f.layCRDs(ctx), f.layPolicies(ctx))
	if err == nil && !f.awaits && !f.laid {
		f.laid = true
		ctrl.LoggerFrom(ctx).Info("The CRDs and the admission policies exist")
	}
	return err
}

// layCRDs brings the CRDs to this manager's version, once, so that of two managers during an upgrade the later one has its
// way. A CRD that is deleted afterwards stays away, because somebody may be about to replace it.
func (f *Foundation) layCRDs(ctx context.Context) error {
	crds, err := manifests(config.CRDs)
	if err != nil {
		return err
	}
	var failed []error
	awaits := false
	for _, crd := range crds {
		if f.settled[crd.GetName()] {
			continue
		}
		settled, err := f.layCRD(ctx, crd)
		awaits = awaits || err == nil && !settled
		if err != nil {
			failed = append(failed, err)
		}
		if f.settled == nil {
			f.settled = make(map[string]bool)
		}
		f.settled[crd.GetName()] = settled
	}
	f.awaits = awaits
	return errors.Join(failed...)
}

// layCRD reports in settled whether no more work is left for that CRD.
func (f *Foundation) layCRD(ctx context.Context, crd *unstructured.Unstructured) (settled bool, err error) {
	var current apiextensionsv1.CustomResourceDefinition
	err = f.Live.Get(ctx, types.NamespacedName{Name: crd.GetName()}, &current)
	switch {
	case apierrors.IsNotFound(err):
		err = f.apply(ctx, crd) // and fail where somebody else is as fast
	case err != nil:
		err = fmt.Errorf("CRD %s: %w", crd.GetName(), err)
	case current.Labels[partOfLabel] != partOf || configv1.KeptByOpenShift(&current):
		ctrl.LoggerFrom(ctx).Info("Leaving the CRD as it is, because it belongs to OpenShift or has no label of Mirrorset", "crd", crd.GetName(), "label", partOfLabel+"="+partOf)
	case current.DeletionTimestamp != nil: // which can take long, and no agent waits for
		if !f.awaits {
			ctrl.LoggerFrom(ctx).Info("The CRD is being deleted; the manager creates it again when it is gone", "crd", crd.GetName())
		}
		return false, nil
	default:
		crd.SetUID(current.UID) // and not another that has come into its place
		err = f.apply(ctx, crd, client.ForceOwnership)
	}
	return err == nil, err
}

// layPolicies has the API server guard the MirrorNodes, and warn of doubtful sets.
func (f *Foundation) layPolicies(ctx context.Context) error {
	policies, err := manifests(config.Policies)
	if err != nil {
		return err
	}
	var namespace corev1.Namespace
	if err := f.Live.Get(ctx, types.NamespacedName{Name: f.Namespace}, &namespace); err != nil {
		return fmt.Errorf("namespace %s: %w", f.Namespace, err)
	}
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: namespace.Name, UID: namespace.UID}
	for _, policy := range policies {
		key := policy.GetKind() + "/" + policy.GetName()
		current := policy.DeepCopy()
		err := f.Live.Get(ctx, client.ObjectKeyFromObject(policy), current)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if err == nil && f.policies[key] == stateOf(current) {
			continue
		}
		policy.SetOwnerReferences([]metav1.OwnerReference{owner})
		if err := f.apply(ctx, policy, client.ForceOwnership); err != nil {
			return err
		}
		if f.policies == nil {
			f.policies = make(map[string]state)
		}
		f.policies[key] = stateOf(policy)
	}
	return nil
}

func stateOf(object client.Object) state {
	return state{object.GetUID(), object.GetGeneration()}
}

// layForOLM creates the CRDs that OLM looks for, if there is an OLM, and only those that nobody else has created.
func (f *Foundation) layForOLM(ctx context.Context) error {
	if there, err := f.hasCRD(ctx, olmCRDName); err != nil || !there {
		return err
	}
	crds, err := manifests(config.ForOLM)
	if err != nil {
		return err
	}
	var failed []error
	for _, crd := range crds {
		there, err := f.hasCRD(ctx, crd.GetName())
		if err == nil && !there {
			ctrl.LoggerFrom(ctx).Info("OLM looks for this CRD; creating it without any object", "crd", crd.GetName())
			err = f.apply(ctx, crd)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// hasCRD looks for a CRD.
func (f *Foundation) hasCRD(ctx context.Context, name string) (bool, error) {
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	err := f.Live.Get(ctx, types.NamespacedName{Name: name}, crd)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("CRD %s: %w", name, err)
	}
	return err == nil, nil
}

// apply applies an object as part of Mirrorset, and replaces it with the result.
func (f *Foundation) apply(ctx context.Context, object *unstructured.Unstructured, options ...client.ApplyOption) error {
	all := map[string]string{nameLabel: partOf, partOfLabel: partOf, "app.kubernetes.io/managed-by": ManagerName}
	maps.Copy(all, object.GetLabels())
	object.SetLabels(all)
	options = append(options, client.FieldOwner(payload.FieldManager))
	if err := f.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), options...); err != nil {
		return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return nil
}

// manifests reads all objects in the files of a folder.
func manifests(folder embed.FS) (objects []*unstructured.Unstructured, err error) {
	err = fs.WalkDir(folder, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := folder.ReadFile(file)
		if err != nil {
			return err
		}
		for document := range bytes.SplitSeq(content, []byte("\n---\n")) {
			object := &unstructured.Unstructured{}
			if err := yaml.UnmarshalStrict(document, &object.Object); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			objects = append(objects, object)
		}
		return nil
	})
	return objects, err
}
