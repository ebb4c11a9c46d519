// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package prometheus_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

// board is the dashboard.
type board struct {
	Panels     []panel `json:"panels"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
}

// panel is one of the dashboard. A row is a heading.
type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct {
		X, Y, W, H int
	} `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit    string `json:"unit"`
			NoValue string `json:"noValue"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

func (p panel) isRow() bool { return p.Type == "row" }

// variable is one that people choose by.
type variable struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
	AllValue   string `json:"allValue"`
	IncludeAll bool   `json:"includeAll"`
	Multi      bool   `json:"multi"`
}

func dashboard(t *testing.T) (d board) {
	t.Helper()
	text, err := os.ReadFile(root + "config/grafana/mirrorset.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil || len(d.Panels) == 0 {
		t.Fatalf("error %v, %d panels", err, len(d.Panels))
	}
	return d
}

// all is what Grafana fills in where nothing is chosen.
var all = strings.NewReplacer("$__rate_interval", "2m", "$__range", "1h", "$cluster", ".*", "$node", ".*", "$mirror", ".*")

// expressions are those of a panel, with Grafana's variables filled in.
func (p panel) expressions() (filled []string) {
	for _, target := range p.Targets {
		filled = append(filled, all.Replace(target.Expr))
	}
	return filled
}

// scraped is all that is served, from targets with a further label; none where it has no value.
func scraped(t *testing.T, label, value string) string {
	t.Helper()
	_, families := served(t)
	var load strings.Builder
	load.WriteString("load 30s\n")
	for job, target := range targetLabels {
		target = labels.NewBuilder(target).Set(label, value).Labels()
		fmt.Fprintf(&load, "  up%s 1x240\n", target)
		for _, f := range families {
			if f.job != job {
				continue
			}
			for _, s := range f.series {
				b := labels.NewBuilder(s.labels)
				target.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
				growth := 0.0
				if f.kind != "gauge" {
					growth = s.value + 1
				}
				fmt.Fprintf(&load, "  %s %g+%gx240\n", b.Labels(), s.value, growth)
			}
		}
	}
	return load.String()
}

// values are those that an expression comes to after two hours.
func values(t *testing.T, of storage.Queryable, expression string) (found []float64) {
	t.Helper()
	q, err := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery).NewInstantQuery(t.Context(), of, nil, expression, time.Unix(0, 0).Add(2*time.Hour))
	if err != nil {
		t.Errorf("%s: %v", expression, err)
		return nil
	}
	defer q.Close()
	vector, err := q.Exec(t.Context()).Vector()
	if err != nil || len(vector) == 0 {
		t.Errorf("%s has %d values, error %v", expression, len(vector), err)
	}
	for _, sample := range vector {
		if math.IsNaN(sample.F) {
			t.Errorf("%s is no number", expression)
		}
		found = append(found, sample.F)
	}
	slices.Sort(found)
	return found
}

func TestEachPanelShowsSomethingWhateverClusterItIsIn(t *testing.T) {
	without, with := promqltest.LoadedStorage(t, scraped(t, "cluster", "")), promqltest.LoadedStorage(t, scraped(t, "cluster", "a"))
	for _, p := range dashboard(t).Panels {
		for _, e := range p.expressions() {
			if got, want := values(t, with, e), values(t, without, e); !slices.Equal(got, want) {
				t.Errorf("%s: %s is %v, and %v where targets have a label cluster", p.Title, e, want, got)
			}
		}
	}
}

// TestEachPanelShowsWhatIsChosen is about the variables of the dashboard, in each selector of each panel.
func TestEachPanelShowsWhatIsChosen(t *testing.T) {
	byName, _ := served(t)
	for _, p := range dashboard(t).Panels {
		for _, target := range p.Targets {
			text := strings.NewReplacer("$__rate_interval", "2m", "$__range", "1h").Replace(target.Expr)
			e, err := parser.NewParser(parser.Options{}).ParseExpr(text)
			if err != nil {
				t.Errorf("%s: %v", p.Title, err)
				continue
			}
			ofMirrors, byMirror := false, false
			parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
				s, ok := node.(*parser.VectorSelector)
				if !ok {
					return nil
				}
				f := byName[s.Name]
				if !isChosenBy(s, "cluster") || (f == nil || f.job == agentJob) != isChosenBy(s, "node") {
					t.Errorf("%s: %s does not go by the cluster and, where it has one, the node", p.Title, s)
				}
				ofMirrors = ofMirrors || f != nil && slices.Contains(f.ownLabels(), "mirror")
				byMirror = byMirror || isChosenBy(s, "mirror")
				return nil
			})
			if ofMirrors != byMirror {
				t.Errorf("%s: %s does not go by the mirror", p.Title, text)
			}
		}
	}
}

func isChosenBy(s *parser.VectorSelector, variable string) bool {
	return slices.ContainsFunc(s.LabelMatchers, func(m *labels.Matcher) bool {
		return m.Name == variable && m.Type == labels.MatchRegexp && m.Value == "$"+variable
	})
}

func TestVariablesOfferWhatIsServed(t *testing.T) {
	byName, _ := served(t)
	var names []string
	for _, v := range dashboard(t).Templating.List {
		names = append(names, v.Name)
		if v.Name == "datasource" {
			continue
		}
		if !v.IncludeAll || !v.Multi || v.AllValue != ".*" { // which is also for targets without that label
			t.Errorf("not all of %s can be chosen", v.Name)
		}
		found := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(all.Replace(v.Definition))
		if found == nil || found[2] != v.Name {
			t.Errorf("%s is chosen from %s", v.Name, v.Definition)
			continue
		}
		check(t, found[1], byName)
		if e, err := parser.NewParser(parser.Options{}).ParseExpr(found[1]); err != nil || v.Name != "cluster" && !knowsLabel(v.Name, e, byName) {
			t.Errorf("%s has no label %s, error %v", found[1], v.Name, err)
		}
	}
	if !slices.Equal(names, []string{"datasource", "cluster", "node", "mirror"}) {
		t.Errorf("the variables are %q", names)
	}
}

func TestThePanelsFitTogether(t *testing.T) {
	ids := make(map[int]bool)
	taken := make(map[[2]int]string)
	var rows []string
	for _, p := range dashboard(t).Panels {
		if p.isRow() {
			rows = append(rows, p.Title)
		} else if defaults := p.FieldConfig.Defaults; p.Description == "" || len(p.Targets) == 0 || defaults.Unit == "" || defaults.NoValue == "" {
			t.Errorf("panel %d %q lacks a description, a query, a unit, or what it says without data", p.ID, p.Title)
		}
		if ids[p.ID] || p.Title == "" {
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
	if !slices.Equal(rows, []string{"Mirrors", "Nodes", "Sets and the manager"}) || taken[[2]int{0, 0}] != rows[0] {
		t.Errorf("the rows are %q, and %q comes first", rows, taken[[2]int{0, 0}])
	}
}
