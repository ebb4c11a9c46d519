// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package prometheus_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"sigs.k8s.io/yaml"
)

// step is how often the tests scrape and evaluate.
const step = 30 * time.Second

// ruleFile returns the groups of the PrometheusRule as the operator hands them to Prometheus.
func ruleFile(t *testing.T) (name string, groups *rulefmt.RuleGroups) {
	t.Helper()
	manifest, err := os.ReadFile(root + "config/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rule monitoringv1.PrometheusRule
	if err := yaml.UnmarshalStrict(manifest, &rule); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(rule.Spec)
	if err != nil {
		t.Fatal(err)
	}
	groups, problems := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}), promslog.NewNopLogger())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	name = filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name, groups
}

// alerts returns the rules.
func alerts(t *testing.T) (all []rulefmt.Rule) {
	t.Helper()
	_, groups := ruleFile(t)
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("there are no alerts")
	}
	return all
}

var labelInText = regexp.MustCompile(`\$labels\.(\w+)`)

func TestEachAlertSaysWhatItMeansAndWhatToDo(t *testing.T) {
	text, err := os.ReadFile(root + "docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok {
			described = append(described, name)
		}
	}
	var named []string
	for _, r := range alerts(t) {
		if !slices.Contains(named, r.Alert) {
			named = append(named, r.Alert)
		}
		for _, text := range r.Annotations {
			for _, named := range labelInText.FindAllStringSubmatch(text, -1) {
				if !regexp.MustCompile(`by \([^)]*\b` + named[1] + `\b`).MatchString(r.Expr) {
					t.Errorf("%s has no label %s: %s", r.Alert, named[1], text)
				}
			}
		}
		if r.Labels["severity"] == "" || r.For == 0 || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s has labels %v and annotations %v", r.Alert, r.Labels, r.Annotations)
		}
		if want := "https://github.com/mirrorset/mirrorset/blob/main/docs/alerts.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: the runbook is at %s", r.Alert, r.Annotations["runbook_url"])
		}
	}
	if !slices.Equal(described, named) {
		t.Errorf("docs/alerts.md describes %q, and there are %q", described, named)
	}
}

// scene is what Prometheus has seen.
type scene struct {
	name string
	// series are in the notation of promtool's tests, one value each half minute, after the name of the target: "manager", or that
	// of a node.
	series []string
	at     time.Duration
	// want are the alerts that fire then, with the values of their own labels. Where there are none, none may have fired before,
	// either.
	want []string
}

// load returns the series with the labels of their targets. They must be of metrics that are served.
func (s scene) load(t *testing.T) string {
	t.Helper()
	byName, _ := served(t)
	var all strings.Builder
	all.WriteString("load " + model.Duration(step).String() + "\n")
	for _, line := range s.series {
		target, line, _ := strings.Cut(line, ": ")
		described, values, _ := strings.Cut(line, " ")
		own, err := parser.NewParser(parser.Options{}).ParseMetric(described)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		isServed := func(other series) bool { return labels.Equal(other.labels, own) }
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

// firing runs the rules over the series, and returns what fires at the end, and what has fired at all.
func (s scene) firing(t *testing.T) (firing, fired []string) {
	t.Helper()
	p := parser.NewParser(parser.Options{})
	storage, err := promqltest.NewLazyLoader(s.load(t), promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true, Parser: p})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = storage.Close() }()
	storage.SubqueryInterval = step
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:    rules.EngineQueryFunc(storage.QueryEngine(), storage.Storage()),
		AppendableV2: storage.Storage(),
		Context:      context.Background(),
		NotifyFunc:   func(context.Context, string, ...*rules.Alert) {},
		Logger:       promslog.NewNopLogger(),
		Parser:       p,
	})
	file, _ := ruleFile(t)
	groups, problems := manager.LoadGroups(step, labels.EmptyLabels(), "", nil, false, file)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for at := time.Unix(0, 0).UTC(); !at.After(time.Unix(0, 0).Add(s.at)); at = at.Add(step) {
		storage.WithSamplesTill(at, func(err error) {
			if err != nil {
				t.Fatal(err)
			}
			firing = nil
			for _, g := range groups {
				g.Eval(storage.Context(), at)
				for _, r := range g.AlertingRules() {
					if r.LastError() != nil {
						t.Fatalf("%s: %v", r.Name(), r.LastError())
					}
					for _, a := range r.ActiveAlerts() {
						if a.State == rules.StateFiring {
							firing = append(firing, described(t, a))
						}
					}
				}
			}
			fired = append(fired, firing...)
		})
	}
	slices.Sort(firing)
	slices.Sort(fired)
	return firing, slices.Compact(fired)
}

// described is an alert in the notation of a scene.
func described(t *testing.T, a *rules.Alert) string {
	t.Helper()
	text := a.Labels.Get(labels.AlertName)
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

// quiet are the series of an installation in which nothing is wrong.
func quiet(except ...string) []string {
	all := []string{
		`manager: up 1x120`, `node-1: up 1x120`, `node-2: up 1x120`,
		`manager: mirrorset_nodes{state="in_force"} 2x120`, `manager: mirrorset_nodes{state="behind"} 0x120`, `manager: mirrorset_nodes{state="failing"} 0x120`, `manager: mirrorset_nodes{state="silent"} 0x120`,
		`manager: mirrorset_rollout_stage{stage="Steady"} 1x120`, `manager: mirrorset_rollout_stage{stage="Canary"} 0x120`, `manager: mirrorset_rollout_stage{stage="Halted"} 0x120`,
		`manager: mirrorset_rollout_stage{stage="NoCanaries"} 0x120`, `manager: mirrorset_rollout_stage{stage="Paused"} 0x120`, `manager: mirrorset_rollout_stage{stage="RolledBack"} 0x120`,
		`manager: mirrorset_findings{reason="InvalidMirror",class="LeftOut"} 0x120`, `manager: mirrorset_findings{reason="BlocksTagPulls",class="Informational"} 3x120`, `manager: mirrorset_findings{reason="WildcardCollapse",class="Informational"} 1x120`,
		`node-1: mirrorset_agent_redirector_requests_total{result="refused"} 7x120`, `node-1: mirrorset_agent_redirector_requests_total{result="redirected"} 0+5x120`,
		`node-2: mirrorset_agent_redirector_requests_total{result="refused"} 0x120`, `node-2: mirrorset_agent_redirector_requests_total{result="passed_over"} 0+5x120`,
	}
	for _, e := range except {
		described, _, _ := strings.Cut(e, "} ")
		if !strings.Contains(e, "}") {
			described, _, _ = strings.Cut(e, "up ")
			described += "up "
		}
		all = slices.DeleteFunc(all, func(line string) bool { return strings.HasPrefix(line, described) })
	}
	return slices.DeleteFunc(append(all, except...), func(line string) bool { return strings.HasSuffix(line, " -") })
}

func TestAlertsFireWhenTheyShouldAndNotBefore(t *testing.T) {
	for _, s := range []scene{
		{"nothing is wrong", quiet(), time.Hour, nil},

		{"a node is behind", quiet(`manager: mirrorset_nodes{state="behind"} 0x9 1x110`, `manager: mirrorset_nodes{state="in_force"} 2x9 1x110`), 14*time.Minute + step, nil},
		{"a node is behind for ten minutes", quiet(`manager: mirrorset_nodes{state="behind"} 0x9 1x110`, `manager: mirrorset_nodes{state="in_force"} 2x9 1x110`), 15 * time.Minute, []string{"MirrorsetNodeBehind"}},
		{"a node that is behind becomes silent", quiet(`manager: mirrorset_nodes{state="behind"} 0x9 1x1 0x108`, `manager: mirrorset_nodes{state="silent"} 0x11 1x108`, `manager: mirrorset_nodes{state="in_force"} 2x9 1x110`), 15 * time.Minute, []string{"MirrorsetNodeBehind"}},
		{"nodes are behind for a moment, again and again", quiet(`manager: mirrorset_nodes{state="behind"} 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1`), 20 * time.Minute, nil},
		{"a node that was behind has followed", quiet(`manager: mirrorset_nodes{state="behind"} 0x9 1x15 0x95`, `manager: mirrorset_nodes{state="in_force"} 2x9 1x15 2x95`), 25 * time.Minute, nil},

		{"a node fails", quiet(`manager: mirrorset_nodes{state="failing"} 0x9 1x110`, `manager: mirrorset_nodes{state="in_force"} 2x9 1x110`), 14 * time.Minute, nil},
		{"a node fails for ten minutes", quiet(`manager: mirrorset_nodes{state="failing"} 0x9 1x110`, `manager: mirrorset_nodes{state="in_force"} 2x9 1x110`), 16 * time.Minute, []string{"MirrorsetNodeFailing"}},

		{"canaries try a change", quiet(`manager: mirrorset_rollout_stage{stage="Canary"} 1x120`, `manager: mirrorset_rollout_stage{stage="Steady"} 0x120`), time.Hour, nil},
		{"a canary has just failed", quiet(`manager: mirrorset_rollout_stage{stage="Halted"} 0x9 1x110`, `manager: mirrorset_rollout_stage{stage="Steady"} 1x9 0x110`), 5*time.Minute + step, nil},
		{"a canary failed", quiet(`manager: mirrorset_rollout_stage{stage="Halted"} 0x9 1x110`, `manager: mirrorset_rollout_stage{stage="Steady"} 1x9 0x110`), 6 * time.Minute, []string{"MirrorsetCanaryFailed"}},
		{"a change waits for a canary", quiet(`manager: mirrorset_rollout_stage{stage="NoCanaries"} 0x9 1x110`, `manager: mirrorset_rollout_stage{stage="Steady"} 1x9 0x110`), 14 * time.Minute, nil},
		{"it does so for ten minutes", quiet(`manager: mirrorset_rollout_stage{stage="NoCanaries"} 0x9 1x110`, `manager: mirrorset_rollout_stage{stage="Steady"} 1x9 0x110`), 15 * time.Minute, []string{"MirrorsetRolloutHeld NoCanaries"}},
		{"a rollout is paused", quiet(`manager: mirrorset_rollout_stage{stage="Paused"} 1x120`, `manager: mirrorset_rollout_stage{stage="Steady"} 0x120`), time.Hour, nil},
		{"a rollout is paused for nearly a day", []string{`manager: up 1x3000`, `manager: mirrorset_rollout_stage{stage="Paused"} 1x3000`}, 23 * time.Hour, nil},
		{"a rollout is paused for a day, and the manager replaced meanwhile", []string{`manager: up 1x3000`, `manager: mirrorset_rollout_stage{stage="Paused"} 1x1000 _x20 1x1900`}, 24 * time.Hour, []string{"MirrorsetRolloutHeld Paused"}},
		{"canaries have tried something for a day", []string{`manager: up 1x3000`, `manager: mirrorset_rollout_stage{stage="Canary"} 1x3000`}, 24 * time.Hour, []string{"MirrorsetRolloutHeld Canary"}},
		{"a rollout is undone for a day", []string{`manager: up 1x3000`, `manager: mirrorset_rollout_stage{stage="RolledBack"} 1x3000`}, 24 * time.Hour, []string{"MirrorsetRolloutHeld RolledBack"}},

		{"an entry is left out", quiet(`manager: mirrorset_findings{reason="InvalidMirror",class="LeftOut"} 0x9 2x110`), 16 * time.Minute, []string{"MirrorsetFindings InvalidMirror"}},
		{"it is mended", quiet(`manager: mirrorset_findings{reason="InvalidMirror",class="LeftOut"} 0x9 2x15 0x95`), 25 * time.Minute, nil},

		{"an agent does not answer", quiet(`node-2: up 1x9 0x110`), 14 * time.Minute, nil},
		{"an agent does not answer for ten minutes", quiet(`node-2: up 1x9 0x110`), 16 * time.Minute, []string{"MirrorsetAgentDown node-2"}},
		{"an agent is replaced", quiet(`node-2: up 1x9 0x2 1x108`), 20 * time.Minute, nil},
		{"a node has no agent", quiet(`node-2: up -`), 12 * time.Minute, []string{"MirrorsetAgentDown"}},
		{"no node has an agent", quiet(`node-1: up -`, `node-2: up -`), 12 * time.Minute, []string{"MirrorsetAgentDown"}},
		{"two agents of one node are targets", append(quiet(`node-2: up -`), `node-2: up{pod="a"} 0x120`, `node-2: up{pod="b"} 1x120`), 20 * time.Minute, nil},

		{"the manager does not answer", quiet(`manager: up 1x9 0x110`), 16 * time.Minute, []string{"MirrorsetManagerDown"}},
		{"there is no manager", quiet(`manager: up -`), 12 * time.Minute, []string{"MirrorsetManagerDown"}},
		{"the manager is replaced", quiet(`manager: up 1x9 0x4 1x106`), 16 * time.Minute, nil},

		{"a pull is refused once", quiet(`node-2: mirrorset_agent_redirector_requests_total{result="refused"} 0x9 2x110`), 15 * time.Minute, nil},
		{"it is long ago", quiet(`node-2: mirrorset_agent_redirector_requests_total{result="refused"} 0x9 2x110`), 50 * time.Minute, nil},
		{"a pull is refused again and again, as kubelet tries it", quiet(`node-2: mirrorset_agent_redirector_requests_total{result="refused"} 0x9 1x9 2x9 3x9 4x9 5x9 6x9 7x9`), 25 * time.Minute, []string{"MirrorsetRefusals node-2"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			got, before := s.firing(t)
			if !slices.Equal(got, s.want) || len(s.want) == 0 && len(before) > 0 {
				t.Errorf("after %s: firing are %q, want %q; before: %q", s.at, got, s.want, before)
			}
		})
	}
}
