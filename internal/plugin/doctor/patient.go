// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// patient is a cluster, and what was found about it so far.
type patient struct {
	*cluster.Cluster
	published *cluster.Publication // what is published, once that was looked at; nil if it cannot be read
	found     diagnoses
}

// diagnose looks at a cluster, or at one of its nodes. An error is for a cluster that does not answer.
func diagnose(ctx context.Context, c *cluster.Cluster, only []string) (diagnoses, error) {
	p := patient{Cluster: c}
	atNodes := func(ctx context.Context) error { return p.lookAtNodes(ctx, only) }
	looks := []func(context.Context) error{p.lookAtAPIs, p.lookAtManager, p.lookAtAgents, p.lookAtConfigMap, atNodes, p.lookAtSets}
	if len(only) > 0 {
		looks = []func(context.Context) error{p.lookAtAPIs, p.lookAtConfigMap, p.forgetFine, atNodes}
	}
	for _, look := range looks {
		if err := p.unlessRefused(look(ctx)); err != nil {
			return nil, err
		}
	}
	return p.found, nil
}

// forgetFine keeps what is not as it should be, for one who asks about something else.
func (p *patient) forgetFine(context.Context) error {
	p.found = slices.DeleteFunc(p.found, func(d diagnosis) bool { return d.Health == fine })
	return nil
}

// unlessRefused takes what the API server refused for a finding.
func (p *patient) unlessRefused(err error) error {
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		p.found.add(wrong, "access", err.Error(), "Use an account with the right to read this: see --context and --as.")
	case apierrors.IsNotFound(err) && p.found.count(wrong) > 0: // the APIs were looked at, and are what is not there
	default:
		return err
	}
	return nil
}

// lookAtManager wants one manager at work; the others, if any, stand by.
func (p *patient) lookAtManager(ctx context.Context) error {
	subject := "deployment/" + cluster.ManagerDeployment
	d, err := p.Deployments(p.Namespace).Get(ctx, cluster.ManagerDeployment, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		p.found.add(wrong, subject, "it does not exist in namespace "+p.Namespace, "Name the namespace that Mirrorset is installed in with --namespace, or install Mirrorset.")
	case err != nil:
		return err
	case d.Status.AvailableReplicas == 0:
		p.found.add(wrong, subject, "no manager is available, so changes to the sets may not be published", fmt.Sprintf("kubectl -n %s describe deployment/%s\nkubectl -n %[1]s logs deployment/%s", p.Namespace, cluster.ManagerDeployment, cluster.ManagerDeployment))
	default:
		p.found.add(fine, subject, output.Plural(int(d.Status.AvailableReplicas), "manager is available", "managers are available"), "")
	}
	return nil
}

// lookAtAgents wants a ready agent on each node that should have one.
func (p *patient) lookAtAgents(ctx context.Context) error {
	subject := "daemonset/" + cluster.AgentDaemonSet
	d, err := p.DaemonSets(p.Namespace).Get(ctx, cluster.AgentDaemonSet, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		p.found.add(wrong, subject, "it does not exist in namespace "+p.Namespace, "The manager creates it; its log shows why it has not:\nkubectl -n "+p.Namespace+" logs deployment/"+cluster.ManagerDeployment)
		return nil
	case err != nil:
		return err
	}
	have, want := cluster.ReadyAgents(d), d.Status.DesiredNumberScheduled
	if d.Status.ObservedGeneration >= d.Generation && have == want {
		p.found.add(fine, subject, output.Plural(int(want), "agent is ready", "agents are ready"), "")
		return nil
	}
	pods, err := p.Pods(p.Namespace).List(ctx, metav1.ListOptions{LabelSelector: cluster.AgentPods})
	if err != nil {
		return err
	}
	message := fmt.Sprintf("%d of %s ready in the latest version", have, output.Plural(int(want), "agent is", "agents are"))
	if names := notReady(pods.Items); len(names) > 0 {
		message += "; not ready on " + output.FirstOf(names, 10)
	}
	remedy := "kubectl -n " + p.Namespace + " get pods -l app.kubernetes.io/component=agent -o wide\nkubectl -n " + p.Namespace + " describe daemonset/" + cluster.AgentDaemonSet
	p.found.add(wrong, subject, message+p.refusal(ctx, d), remedy)
	return nil
}

// refusal says why the cluster refuses the agents' Pods, if it does. Where the user may not see events, there is nothing to add.
func (p *patient) refusal(ctx context.Context, d *appsv1.DaemonSet) string {
	all, err := p.Events(p.Namespace).List(ctx, metav1.ListOptions{FieldSelector: standing.EventsOf(cluster.AgentDaemonSet)})
	if err != nil {
		return ""
	}
	if refusal := standing.Refused(d, all.Items, metav1.Time{Time: time.Now().Add(-standing.RefusalMinutes * time.Minute)}); refusal != nil {
		return "; " + refusal.String()
	}
	return ""
}

func notReady(pods []corev1.Pod) (nodes []string) {
	for i := range pods {
		if !cluster.IsReady(&pods[i]) && pods[i].Spec.NodeName != "" {
			nodes = append(nodes, pods[i].Spec.NodeName)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// lookAtConfigMap wants what agents can take.
func (p *patient) lookAtConfigMap(ctx context.Context) error {
	subject := "configmap/" + payload.ConfigMapName
	restore := "A running manager repairs it immediately; its log shows why it has not:\nkubectl -n " + p.Namespace + " logs deployment/" + cluster.ManagerDeployment
	cm, err := p.ConfigMap(ctx)
	switch {
	case apierrors.IsNotFound(err):
		p.found.add(wrong, subject, "it does not exist in namespace "+p.Namespace+", so nothing is published", restore)
		return nil
	case err != nil:
		return err
	}
	got, err := cluster.ReadPublication(cm)
	switch {
	case errors.Is(err, payload.ErrNewer):
		p.found.add(wrong, subject, err.Error()+", so this plugin cannot read it", "Upgrade kubectl mirrors to the version of the manager.")
		return nil
	case err != nil:
		p.found.add(wrong, subject, err.Error()+"; agents keep the rules that they have", restore)
		return nil
	}
	p.published = &got
	rules, err := registriesconf.Decode(got.Text)
	switch {
	case err != nil:
		p.found.add(wrong, subject, fmt.Sprintf("revision %d cannot be read: %v", got.Revision, err), restore)
	case got.Provisional:
		p.found.add(odd, subject, fmt.Sprintf("revision %d has no rules, because there were no sets; nodes that have rules keep them until the manager confirms it", got.Revision),
			"If you have not applied sets yet, apply some. If you deleted them on purpose, wait. Otherwise apply them again.")
	default:
		p.found.add(fine, subject, fmt.Sprintf("revision %d is complete, with %s", got.Revision, output.Plural(len(rules), "source", "sources")), "")
	}
	return nil
}
