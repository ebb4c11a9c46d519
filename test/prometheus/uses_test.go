// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package prometheus_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// panel is one of the dashboard.
type panel struct {
	ID          int    `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct {
		X, Y, W, H int
	} `json:"gridPos"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

func dashboard(t *testing.T) (panels []panel) {
	t.Helper()
	text, err := os.ReadFile(root + "config/grafana/mirrorset.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal(text, &d); err != nil || len(d.Panels) == 0 {
		t.Fatalf("error %v, %d panels", err, len(d.Panels))
	}
	return d.Panels
}

// expressions are those of the dashboard, with Grafana's variables filled in.
func (p panel) expressions() (all []string) {
	for _, target := range p.Targets {
		all = append(all, strings.ReplaceAll(target.Expr, "$__rate_interval", "2m"))
	}
	return all
}

// TestWhatIsUsedIsServedAndWhatIsServedIsUsed is about all alerts and all panels.
func TestWhatIsUsedIsServedAndWhatIsServedIsUsed(t *testing.T) {
	byName, all := served(t)
	used := make(map[*family]bool)
	note := func(expression string) {
		names := check(t, expression, byName)
		if len(names) == 0 {
			t.Errorf("%s is about nothing", expression)
		}
		for _, name := range names {
			used[byName[name]] = true
		}
	}
	for _, a := range alerts(t) {
		note(a.Expr)
	}
	for _, p := range dashboard(t) {
		for _, e := range p.expressions() {
			note(e)
		}
	}
	for _, f := range all {
		if !used[f] {
			t.Errorf("nothing uses %s", f.name)
		}
	}
}

func TestEachPanelShowsSomething(t *testing.T) {
	_, all := served(t)
	var load strings.Builder
	load.WriteString("load 30s\n")
	for job, target := range targetLabels {
		fmt.Fprintf(&load, "  up%s 1x240\n", target)
		for _, f := range all {
			if f.job != job {
				continue
			}
			for _, s := range f.series {
				b := labels.NewBuilder(s.labels)
				target.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
				growth := 0.0
				if f.kind != "gauge" {
					growth = s.value
				}
				fmt.Fprintf(&load, "  %s %g+%gx240\n", b.Labels(), s.value, growth)
			}
		}
	}
	storage := promqltest.LoadedStorage(t, load.String())
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	for _, p := range dashboard(t) {
		for _, e := range p.expressions() {
			q, err := engine.NewInstantQuery(t.Context(), storage, nil, e, time.Unix(0, 0).Add(2*time.Hour))
			if err != nil {
				t.Errorf("%s: %v", p.Title, err)
				continue
			}
			result := q.Exec(t.Context())
			vector, err := result.Vector()
			if err != nil || len(vector) == 0 {
				t.Errorf("%s: %s has %d values, error %v", p.Title, e, len(vector), err)
			}
			for _, sample := range vector {
				if math.IsNaN(sample.F) {
					t.Errorf("%s: %s is no number", p.Title, e)
				}
			}
			q.Close()
		}
	}
}

func TestThePanelsFitTogether(t *testing.T) {
	ids := make(map[int]bool)
	taken := make(map[[2]int]string)
	for _, p := range dashboard(t) {
		if ids[p.ID] || p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d %q", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q lies on %q at %d, %d", p.Title, other, x, y)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestTheDocumentHasAllMetrics compares the table of docs/metrics.md with what is served.
func TestTheDocumentHasAllMetrics(t *testing.T) {
	text, err := os.ReadFile(root + "docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`mirrorset_") {
			continue
		}
		documented = append(documented, strings.TrimSpace(cells[1])+" "+strings.TrimSpace(cells[2])+" "+strings.TrimSpace(cells[3]))
		if strings.TrimSpace(cells[4]) == "" {
			t.Errorf("nothing is said of %s", cells[1])
		}
	}
	_, all := served(t)
	var want []string
	for _, f := range all {
		var own []string
		separator := "; "
		for _, label := range f.ownLabels() {
			if f.name == "mirrorset_build_info" { // with values of every build's own
				own, separator = append(own, "`"+label+"`"), ", "
				continue
			}
			if label == "mirror" || label == "source" { // with those of the sets
				own = append(own, "`"+label+"`")
				continue
			}
			own = append(own, "`"+label+"`: `"+strings.Join(f.values(label), "`, `")+"`")
		}
		want = append(want, strings.TrimSpace("`"+f.name+"` "+f.kind+" "+strings.Join(own, separator)))
	}
	for i := range documented {
		documented[i] = strings.TrimSpace(documented[i])
	}
	slices.Sort(documented)
	slices.Sort(want)
	if !slices.Equal(documented, want) {
		t.Errorf("docs/metrics.md has\n%s\nand there are\n%s", strings.Join(documented, "\n"), strings.Join(want, "\n"))
	}
}

// TestTheDocumentsExpressionsAreRight is about code in docs/metrics.md and docs/alerts.md that is meant for Prometheus.
func TestTheDocumentsExpressionsAreRight(t *testing.T) {
	byName, _ := served(t)
	found := 0
	for _, document := range []string{"docs/metrics.md", "docs/alerts.md"} {
		text, err := os.ReadFile(root + document)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```promql\n")
		for _, block := range blocks[1:] {
			expressions, _, _ := strings.Cut(block, "```")
			for e := range strings.Lines(expressions) {
				found++
				if _, err := parser.NewParser(parser.Options{}).ParseExpr(e); err != nil {
					t.Errorf("%s: %v", document, err)
				}
				check(t, e, byName)
			}
		}
	}
	if found == 0 {
		t.Error("there are none")
	}
}
