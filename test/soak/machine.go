// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/test/controlplane"
	"github.com/mirrorset/mirrorset/test/enclosure"
)

// hosts is how many nodes there are. The agent of the first one is never killed, so that it can be seen to grow.
const hosts = 3

// firstPort is the redirector's on the first host, and metricsPort that of the manager's metrics. Those of others follow.
const (
	firstPort   = 2891
	metricsPort = 2901
)

// machine is all that runs.
type machine struct {
	plane   *controlplane.ControlPlane
	api     client.Client
	manager *program
	agents  []*program

	mu     sync.Mutex
	killed map[string]int // how often, by name
}

// program is a process with what comes after it.
type program struct {
	name    string
	root    string // of the host; "" for the manager
	metrics string // their address
	process *controlplane.Process
}

func startMachine(ctx context.Context, root string) (m *machine, err error) {
	m = &machine{killed: map[string]int{}}
	if m.plane, err = controlplane.Start(root); err != nil {
		return nil, err
	}
	if err := m.plane.InstallAll(ctx); err != nil {
		return m, err
	}
	config := rest.CopyConfig(m.plane.Config)
	config.QPS, config.Timeout = -1, 5*time.Second
	kinds := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(kinds), configv1.AddToScheme(kinds)); err != nil {
		return m, err
	}
	if m.api, err = client.New(config, client.Options{Scheme: kinds}); err != nil {
		return m, err
	}
	if err := m.grantMetrics(ctx); err != nil {
		return m, err
	}
	m.manager = &program{name: "manager", metrics: fmt.Sprintf("127.0.0.1:%d", metricsPort)}
	if m.manager.process, err = m.plane.StartManager(ctx, "--leader-elect=false", "--metrics-bind-address="+m.manager.metrics); err != nil {
		return m, err
	}
	for i := range hosts {
		a := &program{name: fmt.Sprintf("agent-%d", i+1), root: filepath.Join(enclosure.Memory, fmt.Sprintf("host-%d", i+1)), metrics: fmt.Sprintf("127.0.0.1:%d", metricsPort+1+i)}
		if err := errors.Join(os.MkdirAll(filepath.Join(a.root, certsDir), 0o755), os.MkdirAll(filepath.Join(a.root, dropIns), 0o755)); err != nil {
			return m, err
		}
		if a.process, err = m.plane.StartAgent(ctx, a.root, fmt.Sprintf("node-%d", i+1), "--metrics-bind-address="+a.metrics,
			"--allow-default-host", fmt.Sprintf("--redirector-port=%d", firstPort+i)); err != nil {
			return m, err
		}
		m.agents = append(m.agents, a)
	}
	return m, nil
}

// grantMetrics lets agents ask who comes for their metrics, and us have them.
func (m *machine) grantMetrics(ctx context.Context) error {
	if err := m.api.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: scraper}}); err != nil {
		return err
	}
	for account, role := range map[string]string{controlplane.AgentAccount: "system:auth-delegator", scraper: "cluster-admin"} {
		if err := m.api.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "soak-" + account},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: controlplane.Namespace, Name: account}},
		}); err != nil {
			return err
		}
	}
	return nil
}

// lives returns an error for a program that ended by itself.
func (p *program) lives() error {
	select {
	case <-p.process.Exited():
		return fmt.Errorf("%s ended by itself:\n%s", p.name, p.process.Log())
	default:
		return nil
	}
}

// stop asks all programs to end, and ends them.
func (m *machine) stop() error {
	var failed []error
	for _, p := range append(m.agents, m.manager) {
		if p != nil && p.process != nil {
			failed = append(failed, p.process.Stop())
		}
	}
	return errors.Join(append(failed, m.plane.Stop())...)
}

// kill ends a program immediately, and starts its successor some time later.
func (m *machine) kill(random *rand.Rand, p *program) (err error) {
	if err := p.lives(); err != nil {
		return err
	}
	p.process.Kill()
	m.tally(p.name)
	time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
	p.process, err = p.process.Again()
	return err
}

func (m *machine) tally(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.killed[name]++
}

// away is for how long the API server or etcd is not there.
const away = 3 * time.Second

// killPart ends the API server or etcd immediately, and starts it again after a while.
func (m *machine) killPart(name string) error {
	kill, start := m.plane.KillAPIServer, m.plane.StartAPIServer
	if name == "etcd" {
		kill, start = m.plane.KillEtcd, m.plane.StartEtcd
	}
	if err := kill(); err != nil {
		return err
	}
	m.tally(name)
	time.Sleep(away)
	return start()
}
