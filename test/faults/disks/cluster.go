// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// cluster is a real API server, and what all nodes have of it.
type cluster struct {
	plane *controlplane.ControlPlane
	admin client.Client
	root  string // of the checkout
	token string // of an account that may do everything
}

func startCluster(ctx context.Context, root string) (*cluster, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		if err := os.Setenv("KUBEBUILDER_ASSETS", filepath.Join(root, "bin/k8s")); err != nil {
			return nil, err
		}
	}
	plane, err := controlplane.Start(root)
	if err != nil {
		return nil, err
	}
	c := &cluster{plane: plane, root: root}
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(err, plane.Stop())
	}
	return c, nil
}

func (c *cluster) prepare(ctx context.Context) (err error) {
	if err := c.plane.InstallAll(ctx); err != nil {
		return err
	}
	config := rest.CopyConfig(c.plane.Config)
	config.QPS = -1
	types := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(types), mirrorsetv1alpha1.AddToScheme(types)); err != nil {
		return err
	}
	if c.admin, err = client.New(config, client.Options{Scheme: types}); err != nil {
		return err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: "all-mighty"}}
	if err := c.admin.Create(ctx, account); err != nil {
		return err
	}
	// Each node has a namespace of its own, so that nodes can be at different revisions.
	if err := c.admin.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account.Name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace, Name: account.Name}},
	}); err != nil {
		return err
	}
	request := &authenticationv1.TokenRequest{}
	err = c.admin.SubResource("token").Create(ctx, account, request)
	c.token = request.Status.Token
	return err
}
