// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package prometheus_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

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

// ruleset returns the rules of both kinds.
func ruleset(t *testing.T) (alerts, records []rulefmt.Rule) {
	t.Helper()
	_, groups := ruleFile(t)
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				alerts = append(alerts, r)
			} else {
				records = append(records, r)
			}
		}
	}
	if len(alerts) == 0 || len(records) == 0 {
		t.Fatalf("there are %d alerts and %d records", len(alerts), len(records))
	}
	return alerts, records
}

func TestEachAlertSaysWhatItMeansAndWhatToDo(t *testing.T) {
	text, err := os.ReadFile(root + "docs/reference/alerts.md")
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
	all, _ := ruleset(t)
	for _, r := range all {
		if !slices.Contains(named, r.Alert) {
			named = append(named, r.Alert)
		}
		if severity := r.Labels["severity"]; severity != "warning" && severity != "critical" || r.For == 0 || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s has labels %v and annotations %v", r.Alert, r.Labels, r.Annotations)
		}
		if want := "https://github.com/mirrorset/mirrorset/blob/main/docs/reference/alerts.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: the runbook is at %s", r.Alert, r.Annotations["runbook_url"])
		}
	}
	if !slices.Equal(described, named) {
		t.Errorf("docs/reference/alerts.md describes %q, and there are %q", described, named)
	}
}

func TestAlertsFireWhenTheyShouldAndNotBefore(t *testing.T) {
	haveFired := make(map[string]bool)
	for every, scenes := range map[time.Duration][]scene{step: slices.Concat(scenesOfTheManager(), scenesOfAgents(), scenesOfPulls()), seldomStep: scenesOfSources()} {
		for _, s := range scenes {
			t.Run(s.name, func(t *testing.T) {
				got, before := s.firing(t, every, haveFired)
				if !slices.Equal(got, s.want) || s.want == nil && len(before) > 0 {
					t.Errorf("after %s: firing are %q, want %q; before: %q", s.at, got, s.want, before)
				}
			})
		}
	}
	all, _ := ruleset(t)
	for _, r := range all {
		if !haveFired[r.Annotations["description"]] {
			t.Errorf("%s, %s, fires in no scene", r.Alert, r.Annotations["summary"])
		}
	}
}

func scenesOfTheManager() []scene {
	return []scene{
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

		{"the manager does not answer", quiet(`manager: up 1x9 0x110`), 16 * time.Minute, []string{"MirrorsetManagerDown"}},
		{"there is no manager", quiet(`manager: up -`), 12 * time.Minute, []string{"MirrorsetManagerDown"}},
		{"the manager is replaced", quiet(`manager: up 1x9 0x4 1x106`), 16 * time.Minute, nil},
	}
}
