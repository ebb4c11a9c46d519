// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package prometheus_test has Prometheus's own code judge what is made for it: the metrics as they are served, the alerts and
// the dashboard that are made of them, and the monitors that find them.
package prometheus_test

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql/parser"
)

const root = "../../"

// The jobs, as config/prometheus names them.
const (
	managerJob = "mirrorset-manager"
	agentJob   = "mirrorset-agent"
)

// The files that the tests of internal/controller and internal/agent hold the programs to.
var expositions = map[string]string{
	managerJob: root + "internal/controller/testdata/metrics.prom",
	agentJob:   root + "internal/agent/testdata/metrics.prom",
}

// builds is served by the manager's main, to which test/integration holds it; its labels change with every build.
const builds = "# HELP mirrorset_build_info Always 1; the labels identify the build of the manager.\n# TYPE mirrorset_build_info gauge\nmirrorset_build_info{commit=\"c\",version=\"v\"} 1\n"

// targetLabels are those that Prometheus adds, by job; the tests of the monitors hold them to that.
var targetLabels = map[string]labels.Labels{
	managerJob: labels.FromStrings("job", managerJob, "namespace", "mirrorset-system", "instance", "10.1.2.3:8443", "pod", "mirrorset-manager-1"),
	agentJob:   labels.FromStrings("job", agentJob, "namespace", "mirrorset-system", "instance", "10.0.0.1:290", "node", "node-1"),
}

// family is a metric.
type family struct {
	name, kind, job string
	series          []series
}

// series is what one scrape has of one series, without the labels of the target.
type series struct {
	labels labels.Labels
	value  float64
}

// served returns all metrics by the names of their series, so that a histogram is there by three names.
func served(t *testing.T) (byName map[string]*family, all []*family) {
	t.Helper()
	byName = make(map[string]*family)
	for job, file := range expositions {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if job == managerJob {
			text = append(text, builds...)
		}
		found := parse(t, job, text)
		all = append(all, found...)
		for _, f := range found {
			for _, s := range f.series {
				byName[s.labels.Get(labels.MetricName)] = f
			}
		}
	}
	slices.SortFunc(all, func(a, b *family) int { return strings.Compare(a.name, b.name) })
	if len(all) == 0 {
		t.Fatal("nothing is served")
	}
	return byName, all
}

// parse reads what a job serves.
func parse(t *testing.T, job string, text []byte) (found []*family) {
	t.Helper()
	p, err := textparse.New(text, "text/plain", labels.NewSymbolTable(), textparse.ParserOptions{FallbackContentType: "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
	last := func() *family { return found[len(found)-1] }
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		switch entry {
		case textparse.EntryHelp:
			name, _ := p.Help() // which client_golang writes first
			found = append(found, &family{name: string(name), job: job})
		case textparse.EntryType:
			_, kind := p.Type()
			last().kind = string(kind)
		case textparse.EntrySeries:
			var s series
			p.Labels(&s.labels)
			_, _, s.value = p.Series()
			last().series = append(last().series, s)
		default:
			t.Fatalf("there is an entry of kind %d", entry)
		}
	}
}

// values returns the values that a label of a metric's own has.
func (f *family) values(label string) (values []string) {
	for _, s := range f.series {
		if v := s.labels.Get(label); v != "" && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return values
}

// ownLabels returns the names of a metric's own labels.
func (f *family) ownLabels() (names []string) {
	for _, s := range f.series {
		s.labels.Range(func(l labels.Label) {
			if l.Name != labels.MetricName && l.Name != labels.BucketLabel && !slices.Contains(names, l.Name) {
				names = append(names, l.Name)
			}
		})
	}
	slices.Sort(names)
	return names
}

// isName reports whether the values of a label are names that sets give, and not a few that are fixed.
func isName(label string) bool {
	return label == "mirror" || label == "source"
}

const (
	// up is what Prometheus itself has of each target.
	up = "up"
	// cluster is a label that a Prometheus of several clusters gives targets, and another one does not.
	cluster = "cluster"
)

// check tells what is wrong with an expression: a metric, a label or a value of a label that nobody serves.
func check(t *testing.T, expression string, byName map[string]*family) (used []string) {
	t.Helper()
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		t.Errorf("%s: %v", expression, err)
		return nil
	}
	parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.VectorSelector:
			used = append(used, node.Name)
			checkSelector(t, expression, node, byName)
		case *parser.AggregateExpr:
			for _, label := range node.Grouping {
				if label != cluster && !knowsLabel(label, node.Expr, byName) {
					t.Errorf("%s: no metric in it has a label %s", expression, label)
				}
			}
		}
		return nil
	})
	return used
}

func checkSelector(t *testing.T, expression string, s *parser.VectorSelector, byName map[string]*family) {
	t.Helper()
	_, records := ruleset(t)
	f := byName[s.Name]
	if slices.ContainsFunc(records, func(r rulefmt.Rule) bool { return r.Record == s.Name }) {
		return
	}
	if f == nil && s.Name != up {
		t.Errorf("%s: nobody serves %s", expression, s.Name)
		return
	}
	for _, m := range s.LabelMatchers {
		if m.Name == labels.MetricName || m.Value == ".*" {
			continue
		}
		var values []string
		if f != nil {
			values = f.values(m.Name)
		} else {
			for _, target := range targetLabels {
				values = append(values, target.Get(m.Name))
			}
		}
		for _, v := range strings.Split(m.Value, "|") { // what is left out must be there, too
			if !slices.Contains(values, v) {
				t.Errorf("%s: no series has %s=%q", expression, m.Name, v)
			}
		}
	}
}

// knowsLabel reports whether one of the metrics in an expression has a label.
func knowsLabel(label string, e parser.Expr, byName map[string]*family) (known bool) {
	parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			job := agentJob // of up
			if level := levelOf(s.Name); level != nil {
				known = known || slices.Contains(level, label)
				return nil
			}
			if f := byName[s.Name]; f != nil {
				job = f.job
				known = known || f.series[0].labels.Has(label)
			}
			known = known || targetLabels[job].Has(label)
		}
		return nil
	})
	return known
}
