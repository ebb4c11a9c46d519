// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// patient is a cluster, and what was found about it so far.
type patient struct {
	*cluster
	payload *payload.Payload // what is published, once that was looked at; nil if it cannot be read
	found   diagnoses
}

// lookAtAPIs wants the resources of Mirrorset served.
func (p *patient) lookAtAPIs(context.Context) error {
	served := 0
	for _, resource := range []schema.GroupVersionResource{setResource, nodeResource} {
		list, err := p.client.Discovery().ServerResourcesForGroupVersion(resource.GroupVersion().String())
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		if err == nil && slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == resource.Resource }) {
			served++
			continue
		}
		p.found.add(wrong, "crd/"+resource.GroupResource().String(), "the cluster does not serve it in version "+resource.Version,
			"Install Mirrorset again. If the CRD is there, look at its conditions:\nkubectl get crd "+resource.GroupResource().String()+" -o yaml")
	}
	if served == 2 {
		p.found.add(fine, "crds", "ImageDigestMirrorSets and MirrorNodes are served", "")
	}
	return nil
}

// lookAtManager wants one manager at work; the others, if any, stand by.
func (p *patient) lookAtManager(ctx context.Context) error {
	subject := "deployment/" + managerDeployment
	d, err := p.client.AppsV1().Deployments(p.namespace).Get(ctx, managerDeployment, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		p.found.add(wrong, subject, "it is not in namespace "+p.namespace, "Name the namespace that Mirrorset is installed in with --namespace, or install it.")
	case err != nil:
		return err
	case d.Status.AvailableReplicas == 0:
		p.found.add(wrong, subject, "no manager is available, so changes of the sets may not be published", fmt.Sprintf("kubectl -n %s describe deployment/%s\nkubectl -n %[1]s logs deployment/%s", p.namespace, managerDeployment, managerDeployment))
	default:
		p.found.add(fine, subject, output.Plural(int(d.Status.AvailableReplicas), "manager is available", "managers are available"), "")
	}
	return nil
}

// lookAtAgents wants a ready agent on each node that is to have one.
func (p *patient) lookAtAgents(ctx context.Context) error {
	subject := "daemonset/" + agentDaemonSet
	d, err := p.client.AppsV1().DaemonSets(p.namespace).Get(ctx, agentDaemonSet, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		p.found.add(wrong, subject, "it is not in namespace "+p.namespace, "The manager makes it; look at why it does not:\nkubectl -n "+p.namespace+" logs deployment/"+managerDeployment)
		return nil
	case err != nil:
		return err
	}
	have, want := cleanNodes(d), d.Status.DesiredNumberScheduled
	if d.Status.ObservedGeneration >= d.Generation && have == want {
		p.found.add(fine, subject, output.Plural(int(want), "agent is ready", "agents are ready"), "")
		return nil
	}
	pods, err := p.client.CoreV1().Pods(p.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=mirrorset,app.kubernetes.io/component=agent"})
	if err != nil {
		return err
	}
	message := fmt.Sprintf("%d of %s ready in the latest version", have, output.Plural(int(want), "agent is", "agents are"))
	if names := notReady(pods.Items); len(names) > 0 {
		message += "; not ready on " + firstOf(names)
	}
	remedy := "kubectl -n " + p.namespace + " get pods -l app.kubernetes.io/component=agent -o wide\nkubectl -n " + p.namespace + " describe daemonset/" + agentDaemonSet
	p.found.add(wrong, subject, message+p.refusal(ctx, d), remedy)
	return nil
}

// refusal says why the cluster refuses the agents' Pods, if it does. Where the user may not see events, there is nothing to add.
func (p *patient) refusal(ctx context.Context, d *appsv1.DaemonSet) string {
	all, err := p.client.CoreV1().Events(p.namespace).List(ctx, metav1.ListOptions{FieldSelector: standing.EventsOf(agentDaemonSet)})
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
		if !ready(&pods[i]) && pods[i].Spec.NodeName != "" {
			nodes = append(nodes, pods[i].Spec.NodeName)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// firstOf names ten, and counts the others.
func firstOf(names []string) string {
	if len(names) <= 10 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:10], ", "), len(names)-10)
}

// lookAtConfigMap wants what agents can take.
func (p *patient) lookAtConfigMap(ctx context.Context) error {
	subject := "configmap/" + payload.ConfigMapName
	restore := "The manager mends it at once if it runs; look at why it does not:\nkubectl -n " + p.namespace + " logs deployment/" + managerDeployment
	cm, err := p.configMap(ctx)
	switch {
	case apierrors.IsNotFound(err):
		p.found.add(wrong, subject, "it is not in namespace "+p.namespace+", so nothing is published", restore)
		return nil
	case err != nil:
		return err
	}
	got, err := payload.Read(cm)
	if err != nil {
		p.found.add(wrong, subject, err.Error()+"; agents keep what they have", restore)
		return nil
	}
	p.payload = &got
	rules, err := registriesconf.Decode(got.Text)
	switch {
	case err != nil:
		p.found.add(wrong, subject, fmt.Sprintf("revision %d cannot be read: %v", got.Revision, err), restore)
	case got.Provisional:
		p.found.add(odd, subject, fmt.Sprintf("revision %d has no rules and may prove a mistake, so nodes keep the rules that they have", got.Revision), "If there are to be no sets, wait: it is confirmed when the sets have stayed away. Else bring them back.")
	default:
		p.found.add(fine, subject, fmt.Sprintf("revision %d is whole, with %s", got.Revision, output.Plural(len(rules), "source", "sources")), "")
	}
	return nil
}

// lookAtNodes wants all nodes, or the ones named, to have in force what is published.
func (p *patient) lookAtNodes(ctx context.Context, only []string) error {
	nodes, err := p.nodes(ctx)
	if err != nil {
		return err
	}
	if len(only) > 0 {
		nodes = slices.DeleteFunc(nodes, func(n mirrorsetv1alpha1.MirrorNode) bool { return !slices.Contains(only, n.Name) })
		if len(nodes) == 0 {
			return fmt.Errorf("there is no MirrorNode %q", only[0])
		}
	}
	f := survey(nodes, p.payload)
	healthy := 0
	for i := range f.Nodes {
		d := p.diagnose(&f.Nodes[i], nodes)
		if d.Health == fine && len(only) > 0 && p.payload == nil {
			d.Health, d.Message = odd, fmt.Sprintf("revision %d is in force; whether that is what is published cannot be told", f.Nodes[i].Revision)
		}
		if d.Health == fine && len(only) == 0 {
			healthy++
			continue
		}
		p.found = append(p.found, d)
	}
	switch {
	case len(nodes) == 0:
		p.found.add(wrong, "nodes", "there is no node with an agent", "Agents run on Linux nodes that --agent-node-selector and --agent-tolerations of the manager allow; see kubectl -n "+p.namespace+" get daemonset/"+agentDaemonSet)
	case healthy > 0 && p.payload == nil:
		p.found.add(odd, "nodes", fmt.Sprintf("%s something in force; whether that is what is published cannot be told", output.Plural(healthy, "node has", "nodes have")), "")
	case healthy > 0:
		p.found.add(fine, "nodes", fmt.Sprintf("%s revision %d in force", output.Plural(healthy, "node has", "nodes have"), p.payload.Revision), "")
	}
	return nil
}

// readyMessage is what an agent says of a node that has nothing to be mended.
const readyMessage = "nothing on the node keeps a runtime from the rules"

// diagnose tells what is to be done about a node.
func (p *patient) diagnose(n *fleetNode, nodes []mirrorsetv1alpha1.MirrorNode) diagnosis {
	at := slices.IndexFunc(nodes, func(m mirrorsetv1alpha1.MirrorNode) bool { return m.Name == n.Name })
	d := diagnosis{Health: wrong, Subject: "node/" + n.Name, Message: n.Message}
	agent := fmt.Sprintf("kubectl -n %s get pods -l app.kubernetes.io/component=agent --field-selector spec.nodeName=%s", p.namespace, n.Name)
	runtime := standing.Condition(&nodes[at].Status, mirrorsetv1alpha1.ConditionRuntimeReady)
	switch n.Standing {
	case standing.Failing:
	case standing.Silent:
		d.Remedy = "Look at its agent:\n" + agent
	case standing.Behind, standing.Ahead:
		d.Health = odd
		if d.Message == "" {
			d.Message = fmt.Sprintf("it has revision %d in force, and is about to follow to %d", n.Revision, p.payload.Revision)
		}
		d.Remedy = "If it stays so for a minute, look at its agent:\n" + agent
	default:
		switch {
		case runtime.Status != metav1.ConditionTrue && runtime.Message != "":
			d.Message = runtime.Message
		case runtime.Message != "" && runtime.Message != readyMessage:
			d.Health, d.Message = odd, runtime.Message
		default:
			d.Health, d.Message = fine, fmt.Sprintf("all of revision %d is in force", n.Revision)
		}
	}
	return d
}

// lookAtSets wants sets that are used whole and say what they mean.
func (p *patient) lookAtSets(ctx context.Context) error {
	sets, err := p.sets(ctx)
	if err != nil {
		return err
	}
	before := len(p.found)
	if p.payload != nil {
		if why := pending(sets, *p.payload); why != "" {
			p.found.add(odd, "sets", why, "If it stays so for a minute, look at the manager:\nkubectl -n "+p.namespace+" logs deployment/"+managerDeployment)
		}
	}
	for i := range sets {
		if c := meta.FindStatusCondition(sets[i].Status.Conditions, configv1.ConditionApplied); c != nil && c.Reason == configv1.ReasonNotPublished {
			p.found.add(wrong, "idms/"+sets[i].Name, c.Message, "")
		}
	}
	for _, f := range mirrors.Merge(mirrors.Input{Sets: sets}).Findings {
		if f.Reason == mirrors.BlocksTagPulls || f.Reason == mirrors.WildcardCollapse {
			continue // that is what was asked for
		}
		h := odd
		if f.Reason == mirrors.InvalidSource || f.Reason == mirrors.InvalidMirror || f.Reason == mirrors.InvalidPolicy {
			h = wrong // part of the set is left out
		}
		where := f.Entries[0].Object
		message := fmt.Sprintf("%s: %s", f.Reason, f.Message)
		if path := f.Path(); path != "" {
			message = fmt.Sprintf("%s: %s: %s", f.Reason, path, f.Message)
		}
		p.found.add(h, "idms/"+where, message, "docs/semantics.md says what it means. To change it: kubectl edit idms "+strings.Join(mirrors.Objects(f.Entries), " "))
	}
	if len(p.found) == before {
		p.found.add(fine, "sets", output.Plural(len(sets), "set says", "sets say")+" what can be done", "")
	}
	return nil
}
