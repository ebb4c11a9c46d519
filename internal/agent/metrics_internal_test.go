// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
)

var update = flag.Bool("update", false, "write testdata/metrics.prom from what is served")

// TestMetricsAreServedAsTheyAreDocumented compares with a file that test/prometheus, too, goes by.
func TestMetricsAreServedAsTheyAreDocumented(t *testing.T) {
	const golden = "testdata/metrics.prom"
	n, root, _ := newHost(t, sinktest.Files{other: foreign})
	n.sinks.serve(t.Context())
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	defer mirror.Close()
	place := strings.TrimPrefix(mirror.URL, "http://") + "/x"
	text, err := registriesconf.Encode([]mirrors.Rule{{
		Source: "shut.com/x", Blocked: true, Mirrors: []mirrors.Mirror{{Location: mirrors.Scope(place), Modes: mirrors.ByDigest | mirrors.ByTag, Insecure: true}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if taken, err := n.take(payload.New(sinktest.First, text)); err != nil || !taken {
		t.Fatalf("taken = %t, error %v", taken, err)
	}
	if err := os.Remove(filepath.Join(root, onhost.Path)); err != nil {
		t.Fatal(err)
	}
	if err := n.repair(); err != nil {
		t.Fatal(err)
	}
	if code := sinktest.AskSource(t, root, n.port, "shut.com", "x/y"); code != http.StatusForbidden {
		t.Fatalf("got %d", code)
	}
	hosts, err := os.ReadFile(filepath.Join(root, "etc/containerd/certs.d/shut.com/hosts.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if code := sinktest.Ask(t, regexp.MustCompile(`http://127[^"]*/0`).FindString(string(hosts)), "shut.com", "x/y"); code != http.StatusOK {
		t.Fatalf("got %d", code)
	}
	got := strings.ReplaceAll(scrape(t, n.metrics), place, "m.com/x")
	got = regexp.MustCompile(`(?m)(duration_seconds_bucket.*) [01]$`).ReplaceAllString(got, "$1 1") // however long it took
	got = regexp.MustCompile(`(?m)(duration_seconds_sum.*) [^ ]*$`).ReplaceAllString(got, "$1 0.005")
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
	problems, err := testutil.GatherAndLint(n.metrics)
	if err != nil || len(problems) > 0 {
		t.Errorf("problems %v, error %v", problems, err)
	}
}

// scrape returns what Prometheus is served.
func scrape(t *testing.T, metrics prometheus.Gatherer) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// measured returns the value of the line with this name and these labels.
func measured(t *testing.T, n *host, series string) float64 {
	t.Helper()
	for line := range strings.Lines(scrape(t, n.metrics)) {
		if text, ok := strings.CutPrefix(line, series+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("there is no %s", series)
	return 0
}

// repairs returns how often a node put right its drop-in and its files for containerd.
func repairs(t *testing.T, n *host) [2]float64 {
	t.Helper()
	const series = "mirrorset_agent_drift_repairs_total"
	return [2]float64{measured(t, n, series+`{file="drop_in"}`), measured(t, n, series+`{file="hosts_toml"}`)}
}

func TestWhatOthersDoToOurFilesIsCountedWhenItIsPutRight(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{other: foreign})
	offer(t, n, 0, "old.com", "b.com")
	dropIn, hosts := filepath.Join(root, onhost.Path), filepath.Join(root, ourFirst)
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
		{"a local block, which takes a rule out", func() error { sinktest.Write(t, root, etc+"10.conf", blocks("b.com")); return nil }, [2]float64{0, 0}},
		{"the end of the local block", func() error { return os.Remove(filepath.Join(root, etc+"10.conf")) }, [2]float64{0, 0}},
		{"a new revision", func() error { offer(t, n, 1, "b.com"); return nil }, [2]float64{0, 0}},
		{"a file that comes back", func() error {
			return errors.Join(os.MkdirAll(filepath.Dir(hosts), 0o755), os.WriteFile(hosts, content, 0o644))
		}, [2]float64{0, 1}},
		{"the end of all rules", func() error { offer(t, n, 2); return nil }, [2]float64{0, 0}},
		{"a drop-in that comes back", func() error { return os.WriteFile(dropIn, sinktest.Text(t, "old.com"), 0o644) }, [2]float64{1, 0}},
	} {
		before := repairs(t, n)
		if err := c.harm(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := n.repair(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		after := repairs(t, n)
		if got := [2]float64{after[0] - before[0], after[1] - before[1]}; got != c.want {
			t.Errorf("%s: counted %v, want %v", c.name, got, c.want)
		}
	}
}

func TestWhatChangedWhileNoAgentRanIsNotCounted(t *testing.T) {
	n, root, _ := took(t, sinktest.Files{other: foreign})
	if err := errors.Join(os.Remove(filepath.Join(root, onhost.Path)), os.Remove(filepath.Join(root, ourFirst))); err != nil {
		t.Fatal(err)
	}
	successor := n.successor(t)
	successor.restore()
	if err := successor.repair(); err != nil {
		t.Fatal(err)
	}
	if got := repairs(t, successor); got != [2]float64{} {
		t.Errorf("counted %v", got)
	}
}

func TestANodeMeasuresItsRevisionAndItsRedirector(t *testing.T) {
	const up = "mirrorset_agent_redirector_up"
	n, _, _ := newHost(t, sinktest.Files{other: foreign})
	n.sinks.serve(t.Context())
	offer(t, n, 3)
	if got := measured(t, n, "mirrorset_agent_revision"); got != float64(n.accepted.Revision) {
		t.Errorf("revision %f", got)
	}
	if got := measured(t, n, up); got != 1 {
		t.Errorf("redirector up: %f", got)
	}
	without, _, _ := newHost(t, nil)
	without.sinks.serve(t.Context())
	if got := measured(t, without, up); got != 0 {
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
