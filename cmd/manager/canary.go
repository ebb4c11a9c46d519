// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"time"

	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// The bounds of a soak. Below a second, no canary could have reported anything; beyond half a day, the sets of a fleet would hardly ever be in step.
const (
	minSoak = time.Second
	maxSoak = 12 * time.Hour
)

// canaryFlags adds the settings that let some nodes try a change before all others get it (docs/reference/semantics.md C1).
func (s *settings) canaryFlags(on *flag.FlagSet) {
	on.Func("canary-selector", "label selector, in the syntax of kubectl get nodes --selector, of the Nodes that get each change before all other nodes; requires --canary-soak. By default, each change goes to all nodes immediately", func(text string) error {
		selector, err := k8slabels.Parse(text)
		if err != nil {
			return fmt.Errorf("want labels of Nodes, as kubectl get nodes --selector takes them: %w", err)
		}
		if selector.Empty() {
			return errors.New("want labels of Nodes, as kubectl get nodes --selector takes them: without any, every node is a canary")
		}
		s.canaries = selector
		return nil
	})
	on.Func("canary-soak", "time for which a change must be in force on all canaries without a failure before all other nodes get it, from 1s to 12h, for example 5m; requires --canary-selector", func(text string) error {
		soak, err := time.ParseDuration(text)
		if err != nil || soak < minSoak || soak > maxSoak {
			return errors.New("want a duration from 1s to 12h, as in 5m or 1h30m")
		}
		s.soak = soak
		return nil
	})
}

// check tells of settings that make no sense without others.
func (s *settings) check() error {
	lone := func(given, missing, variable string) error {
		return fmt.Errorf("--%s without --%s: canaries need both; set --%s too (or the variable %s), or neither", given, missing, missing, variable)
	}
	switch {
	case s.canaries != nil && s.soak == 0:
		return lone("canary-selector", "canary-soak", prefix+"CANARY_SOAK")
	case s.canaries == nil && s.soak != 0:
		return lone("canary-soak", "canary-selector", prefix+"CANARY_SELECTOR")
	}
	return nil
}
