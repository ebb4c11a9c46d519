// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect/tries"
)

// told is what a redirector reported.
type told struct {
	mu       sync.Mutex
	tries    []tries.Try
	atSource []string
	refused  []string // what would be
}

// config makes a redirector report here, on a node that trusts the registries of tests.
func (o *told) config(t testing.TB) Config {
	server := httptest.NewTLSServer(nil) // whose certificate all of them have
	defer server.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	t.Helper()
	return wired(Config{
		Log: logr.Discard(), Roots: func() *x509.CertPool { return trusted },
		Tried: func(t tries.Try) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.tries = append(o.tries, t)
		},
		AtSource: func(source mirrors.Scope, outcome tries.AtSource) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.atSource = append(o.atSource, fmt.Sprint(source, " ", outcome))
		},
		WouldRefuse: func(source mirrors.Scope, image string) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.refused = append(o.refused, fmt.Sprint(source, " ", image))
		},
	})
}

// outcomes returns the outcomes of the tries, in the order in which they were settled.
func (o *told) outcomes() (all []accesslog.Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range o.tries {
		all = append(all, t.Outcome)
	}
	return all
}

func blobAt(path string) string { return strings.Replace(path, manifests, blobs, 1) }

// TestEachTryHasTheOutcomeOfItsMirror requests one mirror, as containerd does, and then the source if containerd would come back.
func TestEachTryHasTheOutcomeOfItsMirror(t *testing.T) { // V2
	away := startRegistry(t, false, has)
	away.Close()
	large := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(2<<20))
		_, _ = w.Write(make([]byte, 1<<20))
		panic(http.ErrAbortHandler)
	}
	sendsOn := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) }
	}
	of := func(object string) func(entry string) string {
		return func(entry string) string { return pathTo(entry, "s.com", "x/y", object) }
	}
	manifestPath, tagPath := of(manifestDigest), of("1")
	blobPath := func(entry string) string { return blobAt(manifestPath(entry)) }
	for name, c := range map[string]struct {
		answer   http.HandlerFunc // nil for a mirror that is away
		streamed bool
		path     func(entry string) string
		now      accesslog.Outcome // what the log says at once
		back     accesslog.Outcome // what it counts as once containerd was back
		why      string
	}{
		"a manifest":                  {has, false, manifestPath, accesslog.Served, accesslog.Error, ""},
		"a tag":                       {has, false, tagPath, accesslog.Served, accesslog.Error, ""},
		"a blob":                      {has, false, blobPath, accesslog.Served, accesslog.Error, ""},
		"no manifest":                 {status(404), false, manifestPath, accesslog.Missing, accesslog.Missing, "it answered 404 Not Found"},
		"one that is gone":            {status(410), false, blobPath, accesslog.Missing, accesslog.Missing, "it answered 410 Gone"},
		"another manifest":            {has, false, of(otherDigest), accesslog.WrongContent, accesslog.WrongContent, "another one"},
		"a mirror that fails":         {status(500), false, manifestPath, accesslog.Error, accesslog.Error, "it answered 500"},
		"too many requests":           {status(429), false, tagPath, accesslog.Error, accesslog.Error, "it answered 429"},
		"one that leads astray":       {sendsOn("http://169.254.169.254/"), false, blobPath, accesslog.Error, accesslog.Error, "must not be contacted"},
		"one that hangs":              {hang, false, manifestPath, accesslog.Silent, accesslog.Silent, "does not answer"},
		"one that wants credentials":  {status(401), false, manifestPath, accesslog.Sent, accesslog.CameBack, "it answered 401"},
		"one that lets nobody in":     {status(403), false, blobPath, accesslog.Sent, accesslog.CameBack, "it answered 403"},
		"one with content elsewhere":  {sendsOn("https://storage.example/x"), false, blobPath, accesslog.Sent, accesslog.CameBack, "it answered 307"},
		"one with another status":     {status(400), false, tagPath, accesslog.Sent, accesslog.CameBack, "it answered 400"},
		"one that is away":            {nil, false, manifestPath, accesslog.Sent, accesslog.Error, "connection refused"},
		"a streamed manifest":         {has, true, manifestPath, accesslog.Served, accesslog.Served, ""},
		"a streamed blob":             {has, true, blobPath, accesslog.Served, accesslog.Served, ""},
		"no streamed manifest":        {status(404), true, manifestPath, accesslog.Missing, accesslog.Missing, "it answered 404"},
		"another streamed manifest":   {has, true, of(otherDigest), accesslog.WrongContent, accesslog.WrongContent, "another one"},
		"no login":                    {status(401), true, manifestPath, accesslog.Credentials, accesslog.Credentials, "there is no login"},
		"a streamed one that fails":   {status(503), true, blobPath, accesslog.Error, accesslog.Error, "503"},
		"a streamed one that hangs":   {hang, true, tagPath, accesslog.Silent, accesslog.Silent, "does not answer"},
		"a stream that breaks off":    {large, true, blobPath, accesslog.Error, accesslog.Error, "it broke off"},
		"a streamed one astray":       {sendsOn("http://169.254.169.254/"), true, blobPath, accesslog.Error, accesslog.Error, "must not be contacted"},
		"a streamed one that is away": {nil, true, manifestPath, accesslog.Error, accesslog.Error, "connection refused"},
	} {
		mirror := away
		if c.answer != nil {
			mirror = startRegistry(t, c.streamed, c.answer)
		}
		var insecure []string
		if c.streamed {
			insecure = append(insecure, mirror.host)
		}
		o := &told{}
		config := o.config(t)
		s := New(config)
		if c.now == accesslog.Silent { // the others have time to answer
			s.scout.deadline = 100 * time.Millisecond
		}
		setRules(t, s, fmt.Sprintf("D a: s.com/x -> %s/m\nT a: s.com/x -> %s/m", mirror.host, mirror.host), insecure...)
		server := serve(t, s)
		get := func(path string) (bytes int) {
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			resp, err := client.Get(server.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			content, _ := io.ReadAll(resp.Body) // of a stream that breaks off, what there is
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return 0
			}
			return len(content)
		}
		bytes := get(c.path("0"))
		server.Close() // which waits for the end of it
		pull := config.Pulls.Pulls()[0]
		if len(pull.Tries) != 1 {
			t.Errorf("%s: the log has %+v", name, pull)
			continue
		}
		logged := pull.Tries[0]
		if logged.Outcome != c.now || !strings.Contains(logged.Why, c.why) || c.why == "" && logged.Why != "" || logged.Bytes != int64(bytes) {
			t.Errorf("%s: the log has %+v, and %d bytes came", name, logged, bytes)
		}
		if logged.Place != mirror.host+"/m/y" || logged.Source || logged.Requests != 1 || logged.Took <= 0 {
			t.Errorf("%s: the log has %+v", name, pull)
		}
		if n := len(o.outcomes()); c.now == accesslog.Sent && n > 0 {
			t.Errorf("%s: it is counted at once", name)
		}
		ask(t, s, http.MethodGet, c.path("source"))
		want := []accesslog.Outcome{c.back}
		if c.now == accesslog.Served && c.back != c.now {
			want = []accesslog.Outcome{c.now, c.back}
		}
		if got := o.outcomes(); !slices.Equal(got, want) {
			t.Errorf("%s: counted as %q, want %q", name, got, want)
			continue
		}
		for _, try := range o.tries {
			if now := config.Pulls.Pulls()[0].Tries[0]; now.Outcome != c.back || now.Why != try.Why && try.Outcome == c.back || strings.Contains(now.Why, "to the redirector, and containerd came back: ") != (c.back == accesslog.CameBack) {
				t.Errorf("%s: told of %+v, and the log has %+v", name, try, now)
			}
			if string(try.Mirror) != mirror.host+"/m" || try.Repository != mirror.host+"/m/y" || try.Answered <= 0 || try.Took < try.Answered || try.Bytes != int64(bytes) || time.Since(try.At) > time.Minute {
				t.Errorf("%s: told of %+v", name, try)
			}
		}
	}
}

// containerd, which is still sent there, comes back and reports no reason.
func TestAMirrorWhoseCertificateTheNodeDoesNotTakeFailsOnceContainerdIsBack(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{"one that has it": has, "one that wants credentials": status(http.StatusUnauthorized)} {
		for _, object := range []string{manifestDigest, "1"} {
			mirror := startRegistry(t, false, answer)
			o := &told{}
			config := o.config(t)
			config.Roots = x509.NewCertPool
			s := New(config)
			setRules(t, s, fmt.Sprintf("D a: s.com/x -> %s/m [Never]\nT a: s.com/x -> %s/m [Never]", mirror.host, mirror.host))
			if r := ask(t, s, http.MethodHead, pathTo("0", "s.com", "x/y", object)); r.Code != http.StatusTemporaryRedirect {
				t.Errorf("%s: containerd is not sent there: %d", name, r.Code)
			}
			if try := config.Pulls.Pulls()[0].Tries[0]; try.Outcome != accesslog.Sent || len(o.outcomes()) > 0 {
				t.Errorf("%s: the log has %+v", name, try)
			}
			ask(t, s, http.MethodHead, pathTo("source", "s.com", "x/y", object))
			const why = "x509: certificate signed by unknown authority"
			if try := config.Pulls.Pulls()[0].Tries[0]; try.Outcome != accesslog.Error || !strings.Contains(try.Why, why) {
				t.Errorf("%s: the log has %+v", name, config.Pulls.Pulls()[0])
			}
			if got := o.outcomes(); !slices.Equal(got, []accesslog.Outcome{accesslog.Error}) {
				t.Errorf("%s: counted as %q", name, got)
			}
		}
	}
}

// containerd does not report what it met with, such as a mirror that answers HEAD and not GET.
func TestAMirrorThatContainerdComesBackFromFailsWhateverItAnsweredTheRedirector(t *testing.T) {
	var fails atomic.Bool
	mirror := startRegistry(t, false, func(w http.ResponseWriter, r *http.Request) {
		if fails.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		has(w, r)
	})
	o := &told{}
	config := o.config(t)
	s := New(config)
	set := "a: s.com/x -> " + mirror.host + "/m"
	setRules(t, s, set)
	layer := func(repository, entry string) {
		ask(t, s, http.MethodGet, blobAt(pathTo(entry, "s.com", repository, manifestDigest)))
	}
	ask(t, s, http.MethodHead, pathTo("0", "s.com", "x/y", manifestDigest))
	for range 2 {
		layer("x/y", "0")
		layer("x/y", "source")
	}
	if all := config.Pulls.Pulls()[0].Tries; len(all) != 3 || all[0].Outcome != accesslog.Served || all[0].Requests != 1 || all[1].Outcome != accesslog.Error || all[1].Requests != 2 ||
		!strings.Contains(all[1].Why, "containerd was sent there and came back") || !all[2].Source {
		t.Errorf("the log has %+v", all)
	}
	for name, c := range map[string]struct {
		repository, sets string
		fails            bool
	}{"the mirror fails by now": {"x/fails", set, true}, "it is no mirror any more": {"x/moved", "a: s.com/other -> " + mirror.host + "/m", false}} {
		setRules(t, s, set)
		layer(c.repository, "0")
		setRules(t, s, c.sets)
		fails.Store(c.fails)
		s.scout.memory.verdicts = make(map[asked]verdict) // as after a moment
		o.tries = nil
		layer(c.repository, "0")
		layer(c.repository, "source")
		fails.Store(false)
		if len(o.tries) > 0 && strings.Contains(o.tries[len(o.tries)-1].Why, "came back") {
			t.Errorf("%s: the one that was sent there before is told of: %+v", name, o.tries)
		}
	}
}
