// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// patience is how long a part may take to come up, on a busy machine.
const patience = 5 * time.Minute

// startParts starts all parts, each as soon as what it needs is there, and returns when the node is Ready.
func (c *Cluster) startParts(ctx context.Context) error {
	for name, args := range c.arguments() {
		c.parts[name] = &part{name: name, args: args}
	}
	c.say("Starting etcd, kube-apiserver and containerd")
	for _, name := range []string{etcd, apiServer, containerd} {
		if err := c.run(c.parts[name]); err != nil {
			return err
		}
	}
	if err := c.proxyService(); err != nil {
		return err
	}
	if err := c.importPause(ctx); err != nil {
		return err
	}
	if err := c.await(ctx, apiServer); err != nil {
		return err
	}
	c.say("Starting kube-controller-manager, kube-scheduler and kubelet")
	for _, name := range []string{controllerManager, scheduler, kubelet} {
		if err := c.run(c.parts[name]); err != nil {
			return err
		}
	}
	return errors.Join(c.await(ctx, kubelet), c.awaitAccounts(ctx))
}

// RestartKubelet ends the kubelet, starts it again, and returns when the node is Ready.
func (c *Cluster) RestartKubelet(ctx context.Context) error {
	return c.restart(ctx, kubelet, syscall.SIGTERM)
}

// RestartContainerd ends containerd, starts it again, and returns when it answers. Pods run on meanwhile.
func (c *Cluster) RestartContainerd(ctx context.Context) error {
	return c.restart(ctx, containerd, syscall.SIGTERM)
}

// RestartAPIServer kills kube-apiserver, starts it again on the same port, and returns when it answers. Only asked to end, it
// would wait a minute for its watches.
func (c *Cluster) RestartAPIServer(ctx context.Context) error {
	return c.restart(ctx, apiServer, syscall.SIGKILL)
}

func (c *Cluster) restart(ctx context.Context, name string, signal syscall.Signal) error {
	p := c.parts[name]
	if err := p.end(signal); err != nil {
		return err
	}
	if err := c.run(p); err != nil {
		return err
	}
	return c.await(ctx, name)
}

// await waits until a part does its work, and fails immediately if any part has ended.
func (c *Cluster) await(ctx context.Context, name string) error {
	check := map[string]func(context.Context) error{
		apiServer: func(ctx context.Context) error {
			_, err := c.Client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
			return err
		},
		containerd: func(ctx context.Context) error {
			_, err := c.Exec(ctx, "ctr", "version")
			return err
		},
		kubelet: c.nodeReady,
	}[name]
	return c.poll(ctx, name, check)
}

func (c *Cluster) poll(ctx context.Context, what string, check func(context.Context) error) error {
	last := errors.New("not tried")
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		for _, p := range c.parts {
			select {
			case <-p.exited: // nil before it was started, and then never ready
				return false, fmt.Errorf("%s has ended: %w", p.name, p.err)
			default:
			}
		}
		tryCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		last = check(tryCtx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %s: %w: %w", what, err, last)
	}
	return nil
}

// nodeReady asks the kubelet itself, and what it has told the API server.
func (c *Cluster) nodeReady(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(c.values.IP, "10248")+"/healthz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if err := errors.Join(drain(response)); err != nil {
		return err
	}
	node, err := c.Client.CoreV1().Nodes().Get(ctx, NodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue && len(node.Spec.Taints) == 0 {
			return nil
		}
	}
	return fmt.Errorf("the node is not Ready: %+v, taints %+v", node.Status.Conditions, node.Spec.Taints)
}

func drain(response *http.Response) error {
	if response.StatusCode != http.StatusOK {
		return errors.Join(errors.New(response.Status), response.Body.Close())
	}
	_, err := io.Copy(io.Discard, response.Body)
	return errors.Join(err, response.Body.Close())
}

// awaitAccounts waits until Pods can be made in the namespace default.
func (c *Cluster) awaitAccounts(ctx context.Context) error {
	return c.poll(ctx, "the service account default", func(ctx context.Context) error {
		_, err := c.Client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// proxyService serves the Service kubernetes, the only one that a cluster without kube-proxy needs: its address is one of the
// node's link, where Pods with a network of their own reach it too.
func (c *Cluster) proxyService() error {
	listener, err := net.Listen("tcp", net.JoinHostPort(c.values.IP, "443"))
	if err != nil {
		return err
	}
	c.proxy = listener
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go forward(from, fmt.Sprintf("127.0.0.1:%d", c.values.Port))
		}
	}()
	return nil
}

// forward copies until either side has closed.
func forward(from net.Conn, address string) {
	defer func() { _ = from.Close() }()
	to, err := net.Dial("tcp", address)
	if err != nil {
		return // the API server is down: so is its Service
	}
	defer func() { _ = to.Close() }()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1]) // a broken connection is the end of both
			done <- struct{}{}
		}()
	}
	<-done
}
