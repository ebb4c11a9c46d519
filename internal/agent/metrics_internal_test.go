// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mirrorset/mirrorset/internal/redirect"
)

var update = flag.Bool("update", false, "write testdata/metrics.prom from what is served")

// TestMetricsAreServedAsTheyAreDocumented compares with a file that test/prometheus, too, goes by.
func TestMetricsAreServedAsTheyAreDocumented(t *testing.T) {
	const golden = "testdata/metrics.prom"
	m := NewMetrics()
	m.revision.Set(first)
	m.setRedirectorUp(true)
	m.repairs.WithLabelValues(dropInRepairs).Inc()
	m.answered(redirect.Refused)
	got := scrape(t, m)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	problems, err := testutil.CollectAndLint(m)
	if err != nil || len(problems) > 0 {
		t.Errorf("problems %v, error %v", problems, err)
	}
}

// scrape returns what Prometheus is served.
func scrape(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// repairs returns how often a node put right its drop-in and its files for containerd.
func repairs(n *node) [2]float64 {
	return [2]float64{testutil.ToFloat64(n.metrics.repairs.WithLabelValues(dropInRepairs)), testutil.ToFloat64(n.metrics.repairs.WithLabelValues(hostsTOMLRepairs))}
}

func TestWhatOthersDoToOurFilesIsCountedWhenItIsPutRight(t *testing.T) {
	n, root, _ := newHost(t, files{other: foreign})
	offer(t, n, 0, "old.com", "b.com")
	dropIn, hosts := filepath.Join(root, dropInPath), filepath.Join(root, ourFirst)
	content, err := os.ReadFile(hosts)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		harm func() error
		want [2]float64
	}{
		{"nothing", func() error { return nil }, [2]float64{0, 0}},
		{"an edit", func() error { return appendTo(dropIn, "# edited\n") }, [2]float64{1, 0}},
		{"another mode", func() error { return os.Chmod(dropIn, 0o600) }, [2]float64{1, 0}},
		{"a removal", func() error { return os.Remove(dropIn) }, [2]float64{1, 0}},
		{"an edit of a registry's file", func() error { return appendTo(hosts, "# edited\n") }, [2]float64{0, 1}},
		{"the removal of a registry's folder", func() error { return os.RemoveAll(filepath.Dir(hosts)) }, [2]float64{0, 1}},
		{"the removal of all", func() error {
			return errors.Join(os.Remove(dropIn), os.RemoveAll(filepath.Dir(hosts)), os.RemoveAll(filepath.Join(root, certsDir, "b.com")))
		}, [2]float64{1, 2}},
		{"the loss of the agent's own state", func() error { return os.Remove(filepath.Join(root, statePath)) }, [2]float64{0, 0}},
		{"a local block, which takes a rule out", func() error { write(t, root, etc+"10.conf", blocks("b.com")); return nil }, [2]float64{0, 0}},
		{"the end of the local block", func() error { return os.Remove(filepath.Join(root, etc+"10.conf")) }, [2]float64{0, 0}},
		{"a new revision", func() error { offer(t, n, 1, "b.com"); return nil }, [2]float64{0, 0}},
		{"a file that comes back", func() error {
			return errors.Join(os.MkdirAll(filepath.Dir(hosts), 0o755), os.WriteFile(hosts, content, 0o644))
		}, [2]float64{0, 1}},
		{"the end of all rules", func() error { offer(t, n, 2); return nil }, [2]float64{0, 0}},
		{"a drop-in that comes back", func() error { return os.WriteFile(dropIn, text(t, "old.com"), 0o644) }, [2]float64{1, 0}},
	} {
		before := repairs(n)
		if err := c.harm(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := n.repair(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		after := repairs(n)
		if got := [2]float64{after[0] - before[0], after[1] - before[1]}; got != c.want {
			t.Errorf("%s: counted %v, want %v", c.name, got, c.want)
		}
	}
}

func TestWhatChangedWhileNoAgentRanIsNotCounted(t *testing.T) {
	n, root, _ := took(t, files{other: foreign})
	if err := errors.Join(os.Remove(filepath.Join(root, dropInPath)), os.Remove(filepath.Join(root, ourFirst))); err != nil {
		t.Fatal(err)
	}
	successor := newNode(n.host, n.log, n.settings)
	successor.restore()
	if err := successor.repair(); err != nil {
		t.Fatal(err)
	}
	if got := repairs(successor); got != [2]float64{} {
		t.Errorf("counted %v", got)
	}
}

func TestANodeMeasuresItsRevisionAndItsRedirector(t *testing.T) {
	n, _, _ := newHost(t, files{other: foreign})
	n = withRedirector(t, n)
	offer(t, n, 3, "!shut.com/x")
	if code := source(t, n, "shut.com", "x/y"); code != http.StatusForbidden {
		t.Fatalf("got %d", code)
	}
	if got := testutil.ToFloat64(n.metrics.revision); got != float64(n.accepted.Revision) {
		t.Errorf("revision %f", got)
	}
	if got := testutil.ToFloat64(n.metrics.redirectorUp); got != 1 {
		t.Errorf("redirector up: %f", got)
	}
	if got := testutil.ToFloat64(n.metrics.requests.WithLabelValues(string(redirect.Refused))); got != 1 {
		t.Errorf("%f requests were refused", got)
	}
	without, _, _ := newHost(t, nil)
	without.listen(t.Context())
	if got := testutil.ToFloat64(without.metrics.redirectorUp); got != 0 {
		t.Errorf("redirector up on a node without containerd: %f", got)
	}
}

func appendTo(name, text string) error {
	file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}
