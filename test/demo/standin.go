// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/mirrorset/mirrorset/test/controlplane"
)

// The names of the Deployment and the DaemonSet are those of their Pods and of their service accounts.
const (
	managerName = controlplane.ManagerAccount
	agentName   = controlplane.AgentAccount
	nodeName    = "demo-node"
)

// standIn does the work of a cluster's kubelet and controllers. It starts and stops the manager and the agent as their Deployment and DaemonSet
// require, reports their Pods, and empties a namespace that is deleted. So the plugin finds in a demo what it finds in a cluster.
type standIn struct {
	client   kubernetes.Interface
	dynamic  dynamic.Interface
	agent    string // the path of the program
	hostRoot string
	programs map[string]*program // by name
}

// program is the manager or the agent.
type program struct {
	process    *controlplane.Process
	stopped    bool
	generation int64 // of the object that the Pod was made for; 0 where there is no Pod
}

func newStandIn(config *rest.Config, root, hostRoot string) (*standIn, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // it empties a namespace, one request per kind
	config.WarningHandler = rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfig(config)
	return &standIn{client: client, dynamic: objects, agent: filepath.Join(root, "bin/agent"), hostRoot: hostRoot, programs: map[string]*program{}}, err
}

// follow does the work until the context ends, and then stops the programs.
func (s *standIn) follow(ctx context.Context) error {
	last := ""
	for ctx.Err() == nil {
		if err := errors.Join(s.followManager(ctx), s.followAgent(ctx), s.followNamespace(ctx)); err != nil && ctx.Err() == nil && err.Error() != last {
			last = err.Error()
			fmt.Fprintln(os.Stderr, "demo:", err)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	var failed []error
	for _, p := range s.programs {
		if !p.stopped {
			failed = append(failed, p.process.Stop())
		}
	}
	return errors.Join(failed...)
}

// followManager does what the controllers of Deployments and the kubelet do.
func (s *standIn) followManager(ctx context.Context) error {
	deployments := s.client.AppsV1().Deployments(controlplane.Namespace)
	d, err := deployments.Get(ctx, managerName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return s.stop(ctx, managerName)
	}
	if err != nil {
		return err
	}
	count := int32(1)
	if d.Spec.Replicas != nil && *d.Spec.Replicas == 0 {
		count, err = 0, s.stop(ctx, managerName)
	} else {
		err = s.start(ctx, managerName, d.Generation, d.Spec.Template)
	}
	if err != nil {
		return err
	}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: count, UpdatedReplicas: count, ReadyReplicas: count, AvailableReplicas: count}
	_, err = deployments.UpdateStatus(ctx, d, metav1.UpdateOptions{})
	return written(err)
}

// followAgent does what the controller of DaemonSets and the kubelet do.
func (s *standIn) followAgent(ctx context.Context) error {
	daemonSets := s.client.AppsV1().DaemonSets(controlplane.Namespace)
	d, err := daemonSets.Get(ctx, agentName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return s.stop(ctx, agentName)
	}
	if err == nil {
		err = s.start(ctx, agentName, d.Generation, d.Spec.Template)
	}
	if err != nil {
		return err
	}
	d.Status = appsv1.DaemonSetStatus{ObservedGeneration: d.Generation, DesiredNumberScheduled: 1, CurrentNumberScheduled: 1, UpdatedNumberScheduled: 1}
	if s.isReady(ctx, d.Spec.Template.Spec.Containers[0].ReadinessProbe) {
		d.Status.NumberReady, d.Status.NumberAvailable = 1, 1
	}
	_, err = daemonSets.UpdateStatus(ctx, d, metav1.UpdateOptions{})
	return written(err)
}

// isReady probes the agent. A probe whether the node is clean, which "kubectl mirrors uninstall" adds, is run on the node's root directory. For
// other probes it is enough that the agent runs.
func (s *standIn) isReady(ctx context.Context, probe *corev1.Probe) bool {
	if probe == nil || probe.Exec == nil || !slices.Contains(probe.Exec.Command, "--check-clean") {
		return true
	}
	return exec.CommandContext(ctx, s.agent, "--host-root="+s.hostRoot, "--check-clean").Run() == nil
}

// start has a program run as an object of this generation says, in a Pod of its template. The Pod is only for people and for the plugin: the
// program is a process of this machine.
func (s *standIn) start(ctx context.Context, name string, generation int64, template corev1.PodTemplateSpec) (err error) {
	p := s.programs[name]
	if p.generation == generation && !p.hasEnded() {
		return nil
	}
	if err := s.stop(ctx, name); err != nil {
		return err
	}
	if p.hasEnded() {
		if p.process, err = p.process.Again(); err != nil {
			return err
		}
		p.stopped = false
	}
	template.Spec.NodeName = nodeName
	pods := s.client.CoreV1().Pods(controlplane.Namespace)
	pod, err := pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: template.Labels}, Spec: template.Spec}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	if _, err = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err == nil {
		p.generation = generation
	}
	return err
}

func (p *program) hasEnded() bool {
	select {
	case <-p.process.Exited():
		return true
	default:
		return p.stopped
	}
}

// stop ends a program, and then deletes its Pod. A program without a Pod is one whose Deployment or DaemonSet is yet to come.
func (s *standIn) stop(ctx context.Context, name string) error {
	p := s.programs[name]
	if p.generation == 0 {
		return nil
	}
	if !p.stopped {
		p.stopped = true
		if err := p.process.Stop(); err != nil {
			return err
		}
	}
	now := int64(0) // there is no kubelet that would end it
	err := s.client.CoreV1().Pods(controlplane.Namespace).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	if err == nil || apierrors.IsNotFound(err) {
		p.generation, err = 0, nil
	}
	return err
}

// written leaves out errors of a status that something else writes or deletes meanwhile. The next turn writes it again.
func written(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// followNamespace does what the controller of namespaces does.
func (s *standIn) followNamespace(ctx context.Context) error {
	namespaces := s.client.CoreV1().Namespaces()
	namespace, err := namespaces.Get(ctx, controlplane.Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && namespace.DeletionTimestamp == nil {
		return nil
	}
	if err != nil {
		return err
	}
	lists, err := discovery.ServerPreferredNamespacedResources(s.client.Discovery())
	if len(lists) == 0 {
		return err
	}
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"deletecollection"}}, lists) {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return err
		}
		for _, resource := range list.APIResources {
			err := s.dynamic.Resource(group.WithResource(resource.Name)).Namespace(namespace.Name).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
	}
	for _, name := range []string{managerName, agentName} {
		if err := s.stop(ctx, name); err != nil {
			return err
		}
	}
	namespace.Spec.Finalizers = nil
	_, err = namespaces.Finalize(ctx, namespace, metav1.UpdateOptions{})
	return err
}
