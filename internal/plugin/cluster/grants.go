// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/grants"
)

// Grants returns the logins and authorities that nodes have for mirrors. What is not there is noted, and what is wrong is a warning; an
// object that the user may not read is an error.
func (c *Cluster) Grants(ctx context.Context, stderr io.Writer) (grants.Grants, error) {
	secret, err := granted(ctx, c, stderr, c.Client.CoreV1().Secrets(c.Namespace).Get, "Secret", "secrets", grants.CredentialsName, "no mirror gets a login")
	if err != nil {
		return grants.Grants{}, err
	}
	authorities, err := granted(ctx, c, stderr, c.Client.CoreV1().ConfigMaps(c.Namespace).Get, "ConfigMap", "configmaps", grants.AuthoritiesName, "no authority is trusted but those of the system")
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
		return nil, fmt.Errorf("%s %s in namespace %s: you need the right to get it, as kubectl auth can-i get %s/%s -n %s asks: %w", kind, name, c.Namespace, resource, name, c.Namespace, err)
	case err != nil:
		return nil, fmt.Errorf("%s %s in namespace %s: %w", kind, name, c.Namespace, err)
	}
	return object, nil
}
