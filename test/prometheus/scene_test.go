// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package prometheus_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

// step is how often most scenes have values and are evaluated.
const step = 30 * time.Second

// scene is what Prometheus has seen.
type scene struct {
	name string
	// series are in the notation of promtool's tests, one value each step, after the name of the target: "manager", or that
	// of a node.
	series []string
	at     time.Duration
	// want are the alerts that fire then, with the values of their own labels. Where it is nil, none may have fired before, either.
	want []string
}

// load returns the series, which have a value every so often, with the labels of their targets. They must be of metrics that are served.
func (s scene) load(t *testing.T, every time.Duration) string {
	t.Helper()
	byName, _ := served(t)
	var all strings.Builder
	all.WriteString("load " + model.Duration(every).String() + "\n")
	for _, line := range s.series {
		target, line, _ := strings.Cut(line, ": ")
		described, values, _ := strings.Cut(line, " ")
		own, err := parser.NewParser(parser.Options{}).ParseMetric(described)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		isServed := func(other series) bool { return labels.Equal(withoutNames(other.labels), withoutNames(own)) }
		if name := own.Get(labels.MetricName); name != up && (byName[name] == nil || !slices.ContainsFunc(byName[name].series, isServed)) {
			t.Fatalf("nobody serves %s", own)
		}
		b := labels.NewBuilder(own)
		added := targetLabels[managerJob]
		if target != "manager" {
			added = labels.NewBuilder(targetLabels[agentJob]).Set("node", target).Set("instance", target+":290").Labels()
		}
		added.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
		all.WriteString("  " + b.Labels().String() + " " + values + "\n")
	}
	return all.String()
}

// withoutNames leaves out the labels whose values are names.
func withoutNames(l labels.Labels) labels.Labels {
	b := labels.NewBuilder(l)
	l.Range(func(one labels.Label) {
		if isName(one.Name) {
			b.Del(one.Name)
		}
	})
	return b.Labels()
}

// firing runs the rules over the series, and returns what fires at the end, and what has fired at all. It notes the descriptions of the rules that fired.
func (s scene) firing(t *testing.T, every time.Duration, haveFired map[string]bool) (firing, fired []string) {
	t.Helper()
	end := time.Unix(0, 0).Add(s.at)
	s.run(t, every, func(at time.Time, r *rules.AlertingRule, a *rules.Alert) {
		name := described(t, a, r.Annotations())
		haveFired[r.Annotations().Get("description")] = true
		fired = append(fired, name)
		if at.Equal(end) {
			firing = append(firing, name)
		}
	})
	slices.Sort(firing)
	slices.Sort(fired)
	return firing, slices.Compact(fired)
}

// run evaluates the rules over the series, and tells of each alert each time that it fires.
func (s scene) run(t *testing.T, every time.Duration, tell func(at time.Time, r *rules.AlertingRule, a *rules.Alert)) {
	t.Helper()
	p := parser.NewParser(parser.Options{})
	storage, err := promqltest.NewLazyLoader(s.load(t, every), promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true, Parser: p})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = storage.Close() }()
	query := rules.EngineQueryFunc(storage.QueryEngine(), storage.Storage())
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:    query,
		AppendableV2: storage.Storage(),
		Context:      context.Background(),
		NotifyFunc:   func(context.Context, string, ...*rules.Alert) {},
		Logger:       promslog.NewNopLogger(),
		Parser:       p,
	})
	file, _ := ruleFile(t)
	groups, problems := manager.LoadGroups(every, labels.EmptyLabels(), "", nil, false, file)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	end := time.Unix(0, 0).Add(s.at)
	for at := time.Unix(0, 0).UTC(); !at.After(end); at = at.Add(every) {
		storage.WithSamplesTill(at, func(err error) {
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range groups {
				g.Eval(storage.Context(), at)
				for _, r := range g.AlertingRules() {
					if r.LastError() != nil {
						t.Fatalf("%s: %v", r.Name(), r.LastError())
					}
					for _, a := range r.ActiveAlerts() {
						if a.State == rules.StateFiring {
							tell(at, r, a)
						}
					}
				}
			}
		})
	}
	_, records := ruleset(t)
	for _, r := range records {
		found, err := query(storage.Context(), r.Record, end)
		if err != nil {
			t.Fatal(err)
		}
		checkRecord(t, r.Record, found)
	}
}

// checkRecord holds what was recorded to the labels that its name begins with.
func checkRecord(t *testing.T, recorded string, found promql.Vector) {
	t.Helper()
	for _, sample := range found {
		sample.Metric.Range(func(l labels.Label) {
			if l.Name != labels.MetricName && !slices.Contains(levelOf(recorded), l.Name) {
				t.Errorf("%s has the label %s", recorded, l.Name)
			}
		})
		if sample.Metric.Len() != len(levelOf(recorded))+1 {
			t.Errorf("%s has labels %s", recorded, sample.Metric)
		}
	}
}

// levelOf returns the labels of a record, and none for what is not one.
func levelOf(recorded string) (names []string) {
	level, _, isRecord := strings.Cut(recorded, ":")
	if !isRecord {
		return nil
	}
	names = strings.Split(level, "_")
	if !slices.Contains(names, "namespace") {
		names = append(names, "namespace")
	}
	return names
}

var labelInText = regexp.MustCompile(`\$labels\.(\w+)`)

// described is an alert in the notation of a scene: what is critical says so, and a warning has nothing before its name.
func described(t *testing.T, a *rules.Alert, templates labels.Labels) string {
	t.Helper()
	text := a.Labels.Get(labels.AlertName)
	if a.Labels.Get("severity") == "critical" {
		text = "critical " + text
	}
	templates.Range(func(l labels.Label) {
		for _, used := range labelInText.FindAllStringSubmatch(l.Value, -1) {
			if !a.Labels.Has(used[1]) {
				t.Errorf("%s has no label %s: %s", text, used[1], l.Value)
			}
		}
	})
	a.Labels.Range(func(l labels.Label) {
		switch l.Name {
		case labels.AlertName, "severity", "job":
		case "namespace":
			if l.Value != "mirrorset-system" {
				t.Errorf("%s is about namespace %s", text, l.Value)
			}
		default:
			text += " " + l.Value
		}
	})
	a.Annotations.Range(func(l labels.Label) {
		if strings.Contains(l.Value, "{{") || strings.Contains(l.Value, "<no value>") || strings.Contains(l.Value, "error") {
			t.Errorf("%s: the %s is %q", text, l.Name, l.Value)
		}
	})
	return text
}

// quiet are the series of an installation in which nothing is wrong, but for these. Of one series, the last line counts; "-" takes it away.
func quiet(except ...string) []string {
	all := []string{
		`manager: up 1x120`, `node-1: up 1x120`, `node-2: up 1x120`,
		`manager: mirrorset_nodes{state="in_force"} 2x120`, `manager: mirrorset_nodes{state="behind"} 0x120`, `manager: mirrorset_nodes{state="failing"} 0x120`, `manager: mirrorset_nodes{state="silent"} 0x120`,
		`manager: mirrorset_rollout_stage{stage="Steady"} 1x120`, `manager: mirrorset_rollout_stage{stage="Canary"} 0x120`, `manager: mirrorset_rollout_stage{stage="Halted"} 0x120`,
		`manager: mirrorset_rollout_stage{stage="NoCanaries"} 0x120`, `manager: mirrorset_rollout_stage{stage="Paused"} 0x120`, `manager: mirrorset_rollout_stage{stage="RolledBack"} 0x120`,
		`manager: mirrorset_findings{reason="InvalidMirror",class="LeftOut"} 0x120`, `manager: mirrorset_findings{reason="BlocksTagPulls",class="Informational"} 3x120`, `manager: mirrorset_findings{reason="WildcardCollapse",class="Informational"} 1x120`,
		`node-1: mirrorset_agent_redirector_up 1x120`, `node-1: mirrorset_agent_redirector_dependent_registries 0x120`,
		`node-2: mirrorset_agent_redirector_up 1x120`, `node-2: mirrorset_agent_redirector_dependent_registries 0x120`,
		`node-1: mirrorset_mirror_requests_total{mirror="m.com",outcome="served"} 0+5x120`, `node-1: mirrorset_mirror_requests_total{mirror="m.com",outcome="silent"} 7x120`,
		`node-2: mirrorset_mirror_requests_total{mirror="m.com",outcome="served"} 0+5x120`, `node-2: mirrorset_mirror_requests_total{mirror="m.com",outcome="missing"} 0+1x120`,
		`node-1: mirrorset_source_requests_total{source="s.com",outcome="sent"} 0+1x120`, `node-1: mirrorset_source_requests_total{source="shut.com",outcome="refused"} 7x120`,
		`node-2: mirrorset_source_requests_total{source="s.com",outcome="sent"} 0+1x120`, `node-2: mirrorset_source_requests_total{source="shut.com",outcome="refused"} 0x120`,
	}
	for _, e := range except {
		all = append(slices.DeleteFunc(all, func(line string) bool { return seriesOf(line) == seriesOf(e) }), e)
	}
	return slices.DeleteFunc(all, func(line string) bool { return strings.HasSuffix(line, " -") })
}

// seriesOf is a line of a scene without its values.
func seriesOf(line string) string {
	described, _, hasLabels := strings.Cut(line, "} ")
	if !hasLabels {
		described = strings.Join(strings.Fields(line)[:2], " ")
	}
	return described
}
