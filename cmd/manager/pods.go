// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/yaml"
)

// podFlags adds the settings that shape the agents' Pods, and how a new version replaces them.
func (s *settings) podFlags(on *flag.FlagSet) {
	on.Func("agent-log-level", "how much each agent logs: debug, info, error, panic, or a number above 0 for more than debug; the default is info", func(text string) error {
		logging, options := flag.NewFlagSet("", flag.ContinueOnError), zap.Options{}
		options.BindFlags(logging) // as the agent does
		if logging.Set("zap-log-level", text) != nil {
			return errors.New("want debug, info, error, panic, or a number above 0")
		}
		s.agent.LogLevel = text
		return nil
	})
	on.Func("agent-pod-annotations", "annotations of the agents' Pods, as a JSON object; the default is none", func(text string) error {
		s.agent.PodAnnotations = nil
		if err := structured(text, &s.agent.PodAnnotations, `an object as {"example.com/key": "value"}`); err != nil {
			return err
		}
		return apivalidation.ValidateAnnotations(s.agent.PodAnnotations, field.NewPath("annotations")).ToAggregate()
	})
	on.Func("agent-priority-class-name", "PriorityClass of the agents' Pods; the default is system-node-critical", func(text string) error {
		if reasons := validation.IsDNS1123Subdomain(text); len(reasons) > 0 {
			return fmt.Errorf("want the name of a PriorityClass: %s", reasons[0])
		}
		s.agent.PriorityClassName = text
		return nil
	})
	on.Func("agent-resources", `resources of each agent, as a JSON object, or {} for none; the default is {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "512Mi"}}`, func(text string) error {
		resources := &corev1.ResourceRequirements{}
		if err := structured(text, resources, `an object as {"requests": {"memory": "32Mi"}, "limits": {"memory": "512Mi"}}`); err != nil {
			return err
		}
		s.agent.Resources = resources
		return checkResources(resources)
	})
	on.Func("agent-update-strategy", `how new agents replace old ones, as a JSON object; the default is {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "10%"}}. `+
		`With {"type": "OnDelete"}, you delete each Pod, and its node has no agent until the next Pod runs`, func(text string) error {
		s.agent.UpdateStrategy = appsv1.DaemonSetUpdateStrategy{}
		if err := structured(text, &s.agent.UpdateStrategy, `an object as {"rollingUpdate": {"maxSurge": "25%"}}`); err != nil {
			return err
		}
		return checkUpdateStrategy(s.agent.UpdateStrategy)
	})
}

// structured reads JSON of a known form; the error names the form that is wanted.
func structured(text string, into any, want string) error {
	if text = strings.TrimSpace(text); text == "" || text == "null" { // they would silently stand for nothing at all
		return fmt.Errorf("want %s, and not %q; leave the flag out for the default", want, text)
	}
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		text, _, _ := strings.Cut(err.Error(), " into Go ") // a type
		return fmt.Errorf(`want %s: %s`, want, strings.TrimPrefix(text[max(0, strings.LastIndex(text, "json: ")):], "json: "))
	}
	return nil
}

// checkResources refuses what the API server would refuse of the agents' DaemonSet.
func checkResources(r *corev1.ResourceRequirements) error {
	if len(r.Claims) > 0 {
		return errors.New("want no claims: the agents' Pods have no resourceClaims that they could name")
	}
	for _, part := range []struct {
		name string
		list corev1.ResourceList
	}{{"requests", r.Requests}, {"limits", r.Limits}} {
		for _, name := range slices.Sorted(maps.Keys(part.list)) {
			if quantity := part.list[name]; quantity.Sign() < 0 {
				return fmt.Errorf("want %s.%s to be 0 or more, not %s", part.name, name, quantity.String())
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Limits)) {
		request, requested := r.Requests[name]
		if limit := r.Limits[name]; requested && request.Cmp(limit) > 0 {
			return fmt.Errorf("want requests.%s (%s) to be at most limits.%s (%s)", name, request.String(), name, limit.String())
		}
	}
	return nil
}

// surge is what maxSurge may be.
var surge = regexp.MustCompile(`^([1-9][0-9]?|100)%$`)

// checkUpdateStrategy takes strategies that keep an old agent until the new one is ready, and the one that leaves the update to people.
// Images of blocked sources come by the redirector, which a node would lack for as long as its agent is replaced.
func checkUpdateStrategy(s appsv1.DaemonSetUpdateStrategy) error {
	switch s.Type {
	case appsv1.OnDeleteDaemonSetStrategyType:
		if s.RollingUpdate != nil {
			return errors.New("want no rollingUpdate with type OnDelete: leave out one of them")
		}
		return nil
	case appsv1.RollingUpdateDaemonSetStrategyType, "":
	default:
		return fmt.Errorf("want type RollingUpdate or OnDelete, not %q", s.Type)
	}
	if s.RollingUpdate == nil {
		return nil
	}
	if m := s.RollingUpdate.MaxUnavailable; m != nil && m.String() != "0" && m.String() != "0%" {
		return fmt.Errorf("want rollingUpdate.maxUnavailable to be 0, not %s: without its agent, a node cannot pull from blocked sources; set maxSurge instead, with which the old agent stays until the new one is ready", m)
	}
	if m := s.RollingUpdate.MaxSurge; m != nil && (m.Type == intstr.Int && m.IntVal < 1 || m.Type == intstr.String && !surge.MatchString(m.StrVal)) {
		return fmt.Errorf("want rollingUpdate.maxSurge to be a number of nodes from 1, or a percentage from 1%% to 100%%, not %q", m.String())
	}
	return nil
}
