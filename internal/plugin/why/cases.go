// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/diagnosis"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/runtimes"
	"github.com/mirrorset/mirrorset/internal/route"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// waiting are the containers that do not run and have not run, in the order in which the kubelet comes to them, and what stands for one before them: the
// Pod's sandbox.
func (r *reader) waiting() (all []diagnosis.Container) {
	if sandbox, waits := diagnosis.Sandbox(r.eventsOf("")); waits {
		all = append(all, sandbox)
	}
	spec, status := &r.pod.Spec, &r.pod.Status
	add := func(name, image string, of []corev1.ContainerStatus) {
		c := diagnosis.Container{Name: name, Image: image}
		if i := slices.IndexFunc(of, func(s corev1.ContainerStatus) bool { return s.Name == name }); i >= 0 {
			if of[i].State.Waiting == nil {
				return
			}
			c.Reason, c.Message = of[i].State.Waiting.Reason, of[i].State.Waiting.Message
		}
		if found := backsOff.FindStringSubmatch(c.Message); found != nil && found[1] != image && found[1] != image+":latest" {
			c.Image = found[1] // as that of a volume
		}
		all = append(all, c)
	}
	if status.Phase == corev1.PodSucceeded || status.Phase == corev1.PodFailed {
		return nil
	}
	for i := range spec.InitContainers {
		add(spec.InitContainers[i].Name, spec.InitContainers[i].Image, status.InitContainerStatuses)
	}
	for i := range spec.Containers {
		add(spec.Containers[i].Name, spec.Containers[i].Image, status.ContainerStatuses)
	}
	for i := range spec.EphemeralContainers {
		add(spec.EphemeralContainers[i].Name, spec.EphemeralContainers[i].Image, status.EphemeralContainerStatuses)
	}
	return all
}

// backsOff is how the kubelet names the image that it waits to ask for again.
var backsOff = regexp.MustCompile(`^Back-off pulling image "([^"]+)"`)

// caseOf puts together what is known of one container.
func (r *reader) caseOf(container diagnosis.Container) diagnosis.Case {
	c := diagnosis.Case{
		Namespace: r.pod.Namespace, Installed: r.Namespace, Container: container, Events: r.eventsOf(container.Name), Log: r.log, Granted: r.granted,
	}
	ref, err := mirrors.ParseReference(container.Image)
	if err != nil {
		c.ImageError = err.Error()
	}
	c.Image = ref
	canary := r.published != nil && r.published.Canary.Takes(r.pod.Spec.NodeName)
	if r.merged != nil {
		c.Sets = r.rulesFor(ref, r.merged.Rules)
	}
	if r.inForce != nil {
		c.InForce = r.rulesFor(ref, r.inForce)
		if rule := c.InForce.Rule; rule != nil && c.InForce.BlockedBy == "" {
			blockers := r.published.Blockers
			if canary {
				blockers = r.published.Canary.Blockers
			}
			c.InForce.BlockedBy = blockers[string(rule.Source)]
		}
	}
	if r.published != nil && r.merged != nil {
		if hold := r.published.Hold(r.sets); hold != nil {
			c.Hold, c.HoldRemedy = hold.Why, hold.Remedy
		}
	}
	c.Node = r.nodeOf(&c)
	return c
}

// rulesFor resolves an image as the node's runtime does.
func (r *reader) rulesFor(ref mirrors.Reference, rules []mirrors.Rule) diagnosis.Rules {
	index := mirrors.NewIndex(rules)
	found := diagnosis.Rules{Known: true, Resolution: index.Resolve(ref)}
	if r.runtime() == "CRI-O" {
		found.Resolution = index.ResolveByReaders(ref)
	}
	host := mirrors.Scope(mirrors.Scope(ref.Name).Host())
	found.Beside = slices.ContainsFunc(rules, func(rule mirrors.Rule) bool {
		return rule.Source.Host() == string(host) || rule.Source.IsWildcard() && rule.Source.Contains(host)
	})
	if found.Rule != nil && found.Blocked {
		found.BlockedBy = r.blockersOf(found.Rule.Source)
	}
	found.Behind = behind(ref, rules)
	return found
}

// behind names the places that containerd asks for an image by itself while the redirector does not answer, as hosts.toml has them behind that. A node on
// which one of them is streamed has fewer.
func behind(ref mirrors.Reference, rules []mirrors.Rule) (places []string) {
	host, path := mirrors.Scope(ref.Name).Host(), mirrors.Scope(ref.Name).Path()
	files := certsd.Project(rules, certsd.Node{Redirector: runtimes.RedirectorAddress(runtimes.DefaultRedirectorPort), AllowDefaultHost: true}).Files
	at := slices.IndexFunc(files, func(f certsd.File) bool { return f.Host == host })
	if at < 0 {
		at = slices.IndexFunc(files, func(f certsd.File) bool { return f.Host == certsd.DefaultHost })
	}
	if at < 0 {
		return []string{"source " + ref.Name}
	}
	endpoints, err := certsd.Parse(files[at].Host, files[at].Content)
	if err != nil {
		return nil
	}
	for _, e := range endpoints {
		root := strings.TrimPrefix(e.Path, route.APIRoot)
		place := "mirror " + e.Host + root + path
		switch {
		case strings.HasPrefix(e.Path, route.RedirectorPath), e.DigestOnly && ref.Mode == mirrors.ByTag:
			continue
		case e.Host == "", e.Host == route.Registry(host) && root == "":
			place = "source " + ref.Name
		}
		if !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	return places
}

// blockersOf names the sets that block a source, by the sets, because what is published has no entries.
func (r *reader) blockersOf(source mirrors.Scope) string {
	if r.merged == nil {
		return ""
	}
	for i := range r.merged.Rules {
		if rule := &r.merged.Rules[i]; rule.Source == source && len(rule.BlockedBy) > 0 {
			return mirrors.Names(rule.BlockedBy)
		}
	}
	return ""
}

// eventsOf are those about a container, and about the Pod as a whole.
func (r *reader) eventsOf(container string) (all []diagnosis.Event) {
	for i := range r.events {
		e := &r.events[i]
		_, named, ofContainer := strings.Cut(e.InvolvedObject.FieldPath, "{")
		if ofContainer && named != container+"}" {
			continue
		}
		all = append(all, diagnosis.Event{Reason: e.Reason, Message: e.Message, At: timeOf(e), OfPod: !ofContainer, Warns: e.Type == corev1.EventTypeWarning})
	}
	return all
}

// runtime is that of the node's Pods, as far as the node says.
func (r *reader) runtime() string {
	if r.node == nil {
		return ""
	}
	return r.survey().Runtime
}

func (r *reader) survey() cluster.Node {
	return cluster.Survey([]mirrorsetv1alpha1.MirrorNode{*r.node}, r.published).Nodes[0]
}

// nodeOf is what the node says that matters to an image.
func (r *reader) nodeOf(c *diagnosis.Case) diagnosis.Node {
	n := diagnosis.Node{Name: r.pod.Spec.NodeName, HasAgent: r.node != nil}
	if n.Name == "" {
		for _, condition := range r.pod.Status.Conditions {
			if condition.Type == corev1.PodScheduled && condition.Status != corev1.ConditionTrue {
				n.Unscheduled = cmp.Or(condition.Message, condition.Reason)
			}
		}
		return n
	}
	if r.nodeErr != nil {
		n.Unknown = r.nodeErr.Error()
		return n
	}
	if r.node == nil {
		return n
	}
	status, at := &r.node.Status, r.survey()
	n.Runtime = at.Runtime
	applied, ready := standing.Condition(status, mirrorsetv1alpha1.ConditionApplied), standing.Condition(status, mirrorsetv1alpha1.ConditionRuntimeReady)
	switch isFailing := at.Standing == standing.Failing; {
	case at.Standing == standing.Silent:
		n.Away = cmp.Or(at.Message, "its agent does not report")
	case at.Standing == standing.Behind || at.Standing == standing.Ahead || isFailing && applied.Reason == mirrorsetv1alpha1.ReasonFailed:
		n.Lags = cmp.Or(at.Message, fmt.Sprintf("it has revision %d", status.Revision))
	}
	if applied.Status != metav1.ConditionTrue && ready.Status == metav1.ConditionFalse {
		n.Unread = ready.Message
	} else if rule := c.InForce.Rule; rule != nil {
		if where, why := standing.OfSources(status, status.Revision, map[string]bool{string(rule.Source): true}, nil); where == standing.Failing {
			n.NotInForce = why
		}
	}
	if status.AppliedAt != nil {
		n.AppliedAt = status.AppliedAt.Time
	}
	for _, f := range status.MirrorFaults {
		fault := diagnosis.Fault{Mirror: f.Mirror, State: string(f.State), Message: f.Message}
		if f.Since != nil {
			fault.Since = f.Since.Time
		}
		n.Faults = append(n.Faults, fault)
	}
	n.Says = linesAbout(status.Conditions, c)
	return n
}

// mostLines bounds what is repeated of a node's conditions.
const mostLines = 5

// linesAbout are the lines of a node's conditions that name the image, or the host of a mirror of it.
func linesAbout(conditions []metav1.Condition, c *diagnosis.Case) (lines []string) {
	names := []string{c.Image.Name}
	for _, s := range c.InForce.PullSources {
		if place := strings.TrimSuffix(s.Location, c.Image.Suffix); place != c.Image.Name {
			names = append(names, mirrors.Scope(place).Host())
		}
	}
	for _, condition := range conditions {
		for line := range strings.Lines(condition.Message) {
			line = strings.TrimSpace(line)
			if slices.ContainsFunc(names, func(name string) bool { return name != "" && strings.Contains(line, name) }) && len(lines) < mostLines {
				lines = append(lines, condition.Type+": "+line)
			}
		}
	}
	return lines
}
