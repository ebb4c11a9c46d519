// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// Reason names what is odd on this node.
type Reason string

// Finding is one thing that is odd on this node.
type Finding struct {
	Reason  Reason
	Message string
	// Runtime is the one concerned.
	Runtime nodecheck.Runtime
	// Sources are those that are not in force for it, as they are in the rules.
	Sources []string
}

// sourcesOf returns the sources of rules that are about a registry, or, for a wildcard, that one.
func sourcesOf(rules []mirrors.Rule, registry string) (sources []string) {
	for i := range rules {
		if host, _, _ := strings.Cut(rules[i].Source, "/"); host == registry {
			sources = append(sources, rules[i].Source)
		}
	}
	return sources
}

// notInForce returns all sources that the findings say are not in force for a runtime, or, where it is not known which one the
// node has, for any; in byte order. Those that are longer than any image's name (Q5) keep no image from its mirrors, and a status
// has no room for them.
func notInForce(findings []Finding, runtime nodecheck.Runtime) (sources []string) {
	for _, f := range findings {
		if runtime == "" || f.Runtime == runtime {
			sources = append(sources, f.Sources...)
		}
	}
	sources = slices.DeleteFunc(sources, func(source string) bool { return len(source) > mirrors.MaxNameLength })
	slices.Sort(sources)
	return slices.Compact(sources)
}
