// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/grants"
)

// Grants returns the logins and authorities that nodes have for mirrors. A note reports an object that does not exist, and a warning a wrong key; an
// object that the user may not read is an error.
func (c *Cluster) Grants(ctx context.Context, stderr io.Writer) (grants.Grants, error) {
	secret, err := granted(ctx, c, stderr, c.Secrets(c.Namespace).Get, "Secret", "secrets", grants.CredentialsName, "mirrors are contacted without a login")
	if err != nil {
		return grants.Grants{}, err
	}
	authorities, err := granted(ctx, c, stderr, c.ConfigMaps(c.Namespace).Get, "ConfigMap", "configmaps", grants.AuthoritiesName, "only the system's certificate authorities are trusted")
	if err != nil {
		return grants.Grants{}, err
	}
	all, problems := grants.Read(secret, authorities, grants.Grants{}, time.Now())
	for _, p := range problems {
		fmt.Fprintf(stderr, "warning: MirrorGrants: %s; %s\n", p.Message, p.Remedy)
	}
	return all, nil
}

// granted reads one of the two objects; nil where it is not there.
func granted[T corev1.Secret | corev1.ConfigMap](ctx context.Context, c *Cluster, stderr io.Writer, get func(context.Context, string, metav1.GetOptions) (*T, error), kind, resource, name, without string) (*T, error) {
	object, err := get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		fmt.Fprintf(stderr, "note: there is no %s %s in namespace %s, so %s\n", kind, name, c.Namespace, without)
		return nil, nil //nolint:nilnil // both objects are optional
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("%s %s in namespace %s: you need the right to get it (check with: kubectl auth can-i get %s/%s -n %s): %w", kind, name, c.Namespace, resource, name, c.Namespace, err)
	case err != nil:
		return nil, fmt.Errorf("%s %s in namespace %s: %w", kind, name, c.Namespace, err)
	}
	return object, nil
}

// partial has the API server send an object's metadata alone, so that nothing secret is on the way.
const partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// GrantedAt returns when the logins or the authorities for mirrors were changed last; zero where neither is there. It takes the right to get the two
// objects, and reads nothing of what is in them.
func (c *Cluster) GrantedAt(ctx context.Context) (last time.Time, err error) {
	for resource, name := range map[string]string{"secrets": grants.CredentialsName, "configmaps": grants.AuthoritiesName} {
		text, err := c.core.Get().Namespace(c.Namespace).Resource(resource).Name(name).SetHeader("Accept", partial).DoRaw(ctx)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return last, err
		}
		var object metav1.PartialObjectMetadata
		if err := json.Unmarshal(text, &object); err != nil {
			return last, fmt.Errorf("%s %s in namespace %s: %w", resource, name, c.Namespace, err)
		}
		for _, at := range changesOf(&object) {
			if at.After(last) {
				last = at
			}
		}
	}
	return last, nil
}

// changesOf are when an object was made, and when each of its writers wrote it last.
func changesOf(object *metav1.PartialObjectMetadata) []time.Time {
	all := []time.Time{object.CreationTimestamp.Time}
	for _, f := range object.ManagedFields {
		if f.Time != nil {
			all = append(all, f.Time.Time)
		}
	}
	return all
}
