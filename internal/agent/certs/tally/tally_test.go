// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/opencontainers/go-digest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect"
	"github.com/mirrorset/mirrorset/internal/redirect/tries"
	"github.com/mirrorset/mirrorset/internal/route"
)

const content = "{}"

// server returns a redirector that counts, and its log.
func server(t *testing.T, rules []mirrors.Rule, trusted *x509.CertPool) (http.Handler, *Tally, *accesslog.Log) {
	t.Helper()
	var s *redirect.Server
	tally, log := New(func() { s.Settle() }), accesslog.New()
	s = redirect.New(redirect.Config{
		Keys: func() []route.Key { return nil }, Roots: func() *x509.CertPool { return trusted }, Log: logr.Discard(), Complained: func() {}, Worse: func() {},
		Pulls: log, Tried: tally.Tried, AtSource: tally.AtSource, WouldRefuse: func(mirrors.Scope, string) {},
	})
	watched := map[string]string{"s.com": "shadow"}
	s.SetRules(redirect.Rules{Router: route.NewRouter(rules), Watched: watched})
	tally.Keep(rules, watched)
	return s, tally, log
}

func TestSeriesAreBoundedWhateverIsPulled(t *testing.T) {
	mirror := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, content) }))
	defer mirror.Close()
	at := strings.TrimPrefix(mirror.URL, "https://")
	rules := []mirrors.Rule{{Source: "s.com", Mirrors: []mirrors.Mirror{{Location: mirrors.Scope(at + "/all"), Modes: mirrors.ByDigest}}}}
	const sources = most + 100
	for i := range sources {
		rules = append(rules, mirrors.Rule{Source: mirrors.Scope(fmt.Sprint("t.com/", i)), Mirrors: []mirrors.Mirror{{Location: mirrors.Scope(fmt.Sprint(at, "/", i)), Modes: mirrors.ByDigest}}})
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(mirror.Certificate())
	s, tally, log := server(t, rules, trusted)
	ask := func(entry route.Entry, host, repository string) {
		path := route.Key("").Path(host, entry) + "/" + repository + "/blobs/" + digest.FromString(content).String() + "?ns=" + host
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	const images = 10_000
	for i := range images {
		ask("0", "s.com", fmt.Sprint("app", i))
		ask(route.Source, "s.com", fmt.Sprint("app", i))
	}
	for i := range sources {
		ask("0", "t.com", fmt.Sprint(i, "/app"))
		ask(route.Source, "t.com", fmt.Sprint(i, "/app"))
	}
	// Each mirror has its outcomes, a histogram and no bytes; each source has three outcomes; and of the others, three outcomes were seen, two of them
	// of mirrors: containerd came back from each, and so it failed after it was said to have served.
	perMirror := len(accesslog.MirrorOutcomes()) + 1
	if got, want := testutil.CollectAndCount(tally), most*perMirror+3+most*3+1; got != want {
		t.Errorf("there are %d metrics, want %d", got, want)
	}
	for metric, want := range map[prometheus.Metric]float64{
		tally.requests.WithLabelValues(at+"/all", "served"):         images,
		tally.requests.WithLabelValues(at+"/all", "error"):          images,
		tally.requests.WithLabelValues(at+"/7", "served"):           1,
		tally.requests.WithLabelValues(other, "served"):             sources - (most - 1),
		tally.atSource.WithLabelValues("s.com", "sent"):             images,
		tally.atSource.WithLabelValues("s.com", "would_be_refused"): images,
		tally.atSource.WithLabelValues(other, "sent"):               sources - (most - 1),
	} {
		if got := testutil.ToFloat64(metric.(prometheus.Collector)); got != want {
			t.Errorf("%s: %g, want %g", metric.Desc(), got, want)
		}
	}
	if n := len(log.Pulls()); n != 512 {
		t.Errorf("the log has %d pulls", n)
	}
	tally.Keep(rules[:1], nil)
	if got := testutil.CollectAndCount(tally); got != perMirror+3+3+1 {
		t.Errorf("%d metrics are left of a mirror, a source and others", got)
	}
}

func TestAMirrorThatNoRuleNamesIsNotCounted(t *testing.T) {
	tally := New(func() {})
	rules := []mirrors.Rule{{Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com"}}}}
	count := func() {
		tally.Tried(tries.Try{Mirror: "m.com", Outcome: accesslog.Sent, Bytes: 7})
		tally.AtSource("s.com", tries.SentOn)
		tally.AtSource("w.com", tries.WouldBeRefused)
	}
	count()
	if n := testutil.CollectAndCount(tally); n != 0 {
		t.Errorf("%d before there are rules", n)
	}
	tally.Keep(rules, map[string]string{"w.com": "a"})
	count()
	if got := testutil.ToFloat64(tally.streamed.WithLabelValues("m.com")); got != 7 {
		t.Errorf("%g bytes", got)
	}
	if got := testutil.ToFloat64(tally.atSource.WithLabelValues("w.com", "would_be_refused")); got != 1 {
		t.Errorf("%g requests would be refused", got)
	}
	tally.Keep(nil, nil)
	count() // as by a try that was settled late
	if n := testutil.CollectAndCount(tally); n != 0 {
		t.Errorf("%d after they are gone", n)
	}
	tally.Keep(rules, nil)
	count()
	if got := testutil.ToFloat64(tally.requests.WithLabelValues("m.com", "sent")); got != 1 {
		t.Errorf("%g once they are back", got)
	}
}

func TestTriesThatWaitAreSettledBeforeTheTallyIsRead(t *testing.T) {
	var tally *Tally
	tally = New(func() { tally.Tried(tries.Try{Mirror: "m.com", Outcome: accesslog.Sent}) })
	tally.Keep([]mirrors.Rule{{Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com"}}}}, nil)
	if n := testutil.CollectAndCount(tally); n == 0 {
		t.Error("what waited is not counted")
	}
	problems, err := testutil.CollectAndLint(tally)
	if err != nil || len(problems) > 0 {
		t.Errorf("problems %v, error %v", problems, err)
	}
}
