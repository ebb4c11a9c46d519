// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

const (
	// watchesOfAnAgent are those of the ConfigMap, the Secret and the ConfigMap of what mirrors are granted, its own MirrorNode, and the manager's
	// Deployment. A spec of test/integration counts them.
	watchesOfAnAgent = 5
	// largestPlain is the largest text, in bytes, that is published as it is (internal/payload). Agents get it as it is, too: they read protobuf.
	largestPlain = 900 << 10
)

// The fleets that the row fleet measures, and those of the model.
var (
	measuredFleets = []int{10, 100, 1000}
	modelFleets    = []int{10, 100, 1000, 10_000}
)

// costs are what one change costs the API server, by unit of the row fleet.
var costs = []string{"requests/change", "writes/change", "B/change"}

// straight is a straight line: so much, and so much for each node.
type straight struct{ fixed, each float64 }

func (s straight) at(nodes int) float64 { return s.fixed + s.each*float64(nodes) }

// through is the line through the smallest and the largest fleet.
func through(values map[int]float64) straight {
	least, most := measuredFleets[0], measuredFleets[len(measuredFleets)-1]
	each := (values[most] - values[least]) / float64(most-least)
	return straight{fixed: values[least] - each*float64(least), each: each}
}

// scaling is the table of the scaling model, from what the row fleet measured.
func scaling(results []result) string {
	r := results[slices.IndexFunc(results, func(r result) bool { return r.name == "fleet" })]
	if r.missing != nil {
		return unmeasured(r.missing)
	}
	measured, lines := map[string]map[int]float64{}, map[string]straight{}
	for _, unit := range costs {
		measured[unit] = map[int]float64{}
		for _, nodes := range measuredFleets {
			s, err := r.output.sample("Fleet/agents="+strconv.Itoa(nodes)+ours, unit)
			if err != nil {
				return unmeasured(err)
			}
			measured[unit][nodes] = summarize(s).median
		}
		lines[unit] = through(measured[unit])
	}
	var text strings.Builder
	text.WriteString("| nodes | watches of agents | requests for a change | writes of these | bytes | bytes, with a text of 900 KiB |\n|---|---|---|---|---|---|\n")
	for _, nodes := range modelFleets {
		cells := []string{grouped(float64(nodes)), grouped(watchesOfAnAgent * float64(nodes))}
		bytes := 0.
		for _, unit := range costs {
			value, isMeasured := measured[unit][nodes]
			note := ""
			if !isMeasured {
				value, note = lines[unit].at(nodes), " (computed)"
			}
			if bytes = value; unit == "B/change" {
				cells = append(cells, scale(value, "B")+note)
				continue
			}
			cells = append(cells, grouped(math.Round(value))+note)
		}
		cells = append(cells, scale(bytes+largestPlain*float64(nodes), "B")+" (computed)")
		fmt.Fprintf(&text, "| %s |\n", strings.Join(cells, " | "))
	}
	text.WriteString("\n" + formula(measured, lines))
	return text.String()
}

// formula says what the computed figures are computed by, and how far that is from the fleet in the middle.
func formula(measured map[string]map[int]float64, lines map[string]straight) string {
	var text strings.Builder
	middle := measuredFleets[1]
	text.WriteString("The computed figures are on a straight line through the fleets of ")
	fmt.Fprintf(&text, "%d and %d nodes:\n\n", measuredFleets[0], measuredFleets[len(measuredFleets)-1])
	for _, unit := range costs {
		line := lines[unit]
		each := strings.TrimSuffix(format(line.each, unit), " "+strings.TrimSuffix(unit, "/change"))
		fmt.Fprintf(&text, "- %s, and %s for each node", format(line.fixed, unit), each)
		if at := measured[unit][middle]; at > 0 {
			fmt.Fprintf(&text, "; at %d nodes, %+.0f %% from the measured value", middle, 100*(line.at(middle)/at-1))
		}
		text.WriteString(".\n")
	}
	return text.String()
}
