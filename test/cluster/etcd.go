// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// SaveEtcd copies all that etcd has to a folder below [Cluster.Dir], for [Cluster.RestoreEtcd]. The API server has to wait
// meanwhile, as etcd is ended for it: only then its files are complete.
func (c *Cluster) SaveEtcd(ctx context.Context) (saved string, err error) {
	if err := c.parts[etcd].end(syscall.SIGTERM); err != nil {
		return "", err
	}
	saved, err = os.MkdirTemp(c.options.Dir, "etcd-saved-")
	if err == nil {
		err = os.CopyFS(saved, os.DirFS(c.path("etcd")))
	}
	if err := errors.Join(err, c.run(c.parts[etcd])); err != nil {
		return "", err
	}
	return saved, c.await(ctx, apiServer)
}

// RestoreEtcd has etcd go back to what was saved, its revisions included, and returns when the node is Ready. As Kubernetes asks
// for, all its parts are then started again; Pods are not, and learn of nothing.
func (c *Cluster) RestoreEtcd(ctx context.Context, saved string) error {
	others := []string{controllerManager, scheduler, kubelet}
	for _, name := range append(others, apiServer) {
		if err := c.parts[name].end(syscall.SIGKILL); err != nil {
			return err
		}
		c.parts[name].exited = nil // its end is expected
	}
	data := c.path("etcd")
	err := errors.Join(c.parts[etcd].end(syscall.SIGTERM), os.RemoveAll(data), os.Mkdir(data, 0o700))
	if err == nil {
		err = os.CopyFS(data, os.DirFS(saved))
	}
	if err == nil {
		err = errors.Join(c.run(c.parts[etcd]), c.run(c.parts[apiServer]))
	}
	if err == nil {
		err = c.await(ctx, apiServer) // kube-controller-manager waits for it too, but for ten seconds only
	}
	for _, name := range others {
		if err == nil {
			err = c.run(c.parts[name])
		}
	}
	if err != nil {
		return err
	}
	return c.await(ctx, kubelet)
}
