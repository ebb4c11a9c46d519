// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
)

func TestTheLogAgreesWithThatOfTheRegistries(t *testing.T) {
	j := &journal{entries: make(map[string]int)}
	wants := func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "secret1" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		has(w, r)
	}
	registries := map[string]*registryAt{
		"empty": startRegistry(t, false, status(http.StatusNotFound)), // which only the redirector asks
		"open":  startRegistry(t, false, j.writes("open", false, has)),
		"wants": startRegistry(t, false, j.writes("wants", false, wants)),
		"bad":   startRegistry(t, false, j.writes("bad", false, status(http.StatusUnauthorized))),
		"plain": startRegistry(t, true, j.writes("plain", true, has)),
	}
	at := func(name string) string { return registries[name].host + "/" + name }
	var sets strings.Builder
	for _, kind := range []string{"D", "T"} {
		fmt.Fprintf(&sets, "%s a: s.com/a -> %s, %s, %s [Never]\n%s a: s.com/b -> %s [Never]\n%s a: s.com/c -> %s [Never]\n%s a: s.com/d -> %s [Never]\n",
			kind, at("empty"), at("bad"), at("open"), kind, at("wants"), kind, at("plain"), kind, at("empty"))
	}
	o := &told{}
	config := o.config(t)
	s := New(config)
	setRules(t, s, sets.String(), registries["plain"].host)
	f := newFetcher(serve(t, s))
	var pulls sync.WaitGroup
	const each = 5
	for i := range each { // some of one repository, and of others, at once
		for _, repository := range []string{"a/x", "b/x", "c/x", "d/x", fmt.Sprint("b/", i), fmt.Sprint("c/", i)} {
			pulls.Go(func() { f.pull(repository) })
		}
	}
	pulls.Wait()
	logged, counted, bytes, refused := make(map[string]int), make(map[string]int), int64(0), 0
	codes := map[accesslog.Outcome]string{accesslog.Served: "200", accesslog.Sent: "200", accesslog.CameBack: "401", accesslog.Missing: "404"}
	for _, p := range config.Pulls.Pulls() {
		for _, try := range p.Tries {
			if try.Source {
				refused += try.Requests
				continue
			}
			_, place, _ := strings.Cut(try.Place, "/")
			name, _, _ := strings.Cut(place, "/")
			logged[name+" "+codes[try.Outcome]] += try.Requests
			bytes += try.Bytes
		}
	}
	missing := 2 * 4 * each // of a and of d, four requests for each pull
	if logged["empty 404"] != missing || refused != 4*each {
		t.Errorf("%d tries are missing, and %d requests refused", logged["empty 404"], refused)
	}
	delete(logged, "empty 404")
	if !maps.Equal(logged, j.entries) || bytes != j.bytes || len(logged) != 4 {
		t.Errorf("the log has %v, and %d bytes, and the registries' own %v, and %d", logged, bytes, j.entries, j.bytes)
	}
	for _, outcome := range o.outcomes() {
		counted[codes[outcome]]++
	}
	if want := map[string]int{"200": j.entries["open 200"] + j.entries["plain 200"], "401": j.entries["bad 401"], "404": missing}; !maps.Equal(counted, want) {
		t.Errorf("counted %v, want %v", counted, want)
	}
	if n := len(o.atSource); n != refused {
		t.Errorf("%d requests are told of at the source", n)
	}
	began, refusals := 0, 0
	for _, p := range config.Pulls.Pulls() {
		if strings.HasSuffix(p.Image, ":1") && time.Since(p.Began) < time.Minute && p.Last.Compare(p.Began) >= 0 {
			began++
		}
		if p.RefusedBy != "" { // of some at once, the one that began last
			refusals++
		}
		if (p.RefusedBy != "") != (p.Refusal != "") || p.Refusal != "" && !strings.HasPrefix(p.Image, "s.com/d/") {
			t.Errorf("%s is refused by %q: %s", p.Image, p.RefusedBy, p.Refusal)
		}
	}
	if refusals == 0 {
		t.Error("no pull is refused")
	}
	if pulls := 6 * each; began != pulls || len(config.Pulls.Pulls()) != pulls {
		t.Errorf("%d pulls began, and %d are logged, of %d", began, len(config.Pulls.Pulls()), pulls)
	}
}

func TestASilentMirrorThatContainerdIsSentToIsWaitedFor(t *testing.T) { // V2
	mirror := startRegistry(t, false, hang)
	o := &told{}
	config := o.config(t)
	s := New(config)
	s.scout.deadline = 50 * time.Millisecond
	setRules(t, s, "a: s.com/x -> "+mirror.host+"/m [Never]")
	path := func(entry string) string { return pathTo(entry, "s.com", "x/y", manifestDigest) }
	if w := ask(t, s, http.MethodGet, path("0")); w.Code != http.StatusTemporaryRedirect {
		t.Fatalf("got %d", w.Code)
	}
	if tries := config.Pulls.Pulls()[0].Tries; len(tries) != 1 || tries[0].Outcome != accesslog.Sent || len(o.outcomes()) != 0 {
		t.Errorf("the log has %+v, and told of %q", tries, o.outcomes())
	}
	ask(t, s, http.MethodGet, path("source"))
	if got := o.outcomes(); !slices.Equal(got, []accesslog.Outcome{accesslog.Silent}) {
		t.Errorf("told of %q", got)
	}
	p := config.Pulls.Pulls()[0]
	if len(p.Tries) != 2 || p.Tries[0].Outcome != accesslog.Silent || p.Tries[1].Outcome != accesslog.Refused || !p.Tries[1].Source || p.Tries[1].Place != "s.com/x/y" ||
		p.RefusedBy != "a" || !strings.Contains(p.Refusal, "blocked by policy") {
		t.Errorf("the log has %+v", p)
	}
}

func TestWhoLeavesSaysNothingAboutAMirror(t *testing.T) {
	for _, streamed := range []bool{false, true} {
		mirror := startRegistry(t, streamed, hang)
		o := &told{}
		config := o.config(t)
		s := New(config)
		s.scout.deadline = 300 * time.Millisecond
		setRules(t, s, "a: s.com/x -> "+mirror.host+"/m", map[bool]string{true: mirror.host, false: "insecure.example"}[streamed])
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, leave)
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, pathTo("0", "s.com", "x/y", manifestDigest), nil))
		if p := config.Pulls.Pulls()[0]; len(p.Tries) != 0 || len(o.outcomes()) != 0 {
			t.Errorf("streamed %t: the log has %+v, and told of %q", streamed, p, o.outcomes())
		}
	}
}

func TestAStreamThatContainerdBreaksOffIsNoErrorOfTheMirror(t *testing.T) { // V2
	mirror := startRegistry(t, true, func(w http.ResponseWriter, _ *http.Request) {
		for err := error(nil); err == nil; _, err = w.Write(make([]byte, 1<<20)) {
		}
	})
	o := &told{}
	s := New(o.config(t))
	setRules(t, s, "a: s.com/x -> "+mirror.host+"/m", mirror.host)
	resp, err := http.Get(serve(t, s).URL + blobAt(pathTo("0", "s.com", "x/y", manifestDigest)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.CopyN(io.Discard, resp.Body, 8<<20)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is told of", func() bool { return slices.Equal(o.outcomes(), []accesslog.Outcome{accesslog.Sent}) })
	if try := o.tries[0]; try.Bytes < 8<<20 || !strings.Contains(try.Why, "containerd") {
		t.Errorf("told of %+v", try)
	}
}

func TestHeadersAreNoBytes(t *testing.T) {
	mirror := startRegistry(t, true, has)
	o := &told{}
	s := New(o.config(t))
	setRules(t, s, "a: s.com/x -> "+mirror.host+"/m", mirror.host)
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		ask(t, s, method, pathTo("0", "s.com", "x/y", manifestDigest))
	}
	if o.tries[0].Bytes != 0 || o.tries[1].Bytes != int64(len(manifest)) {
		t.Errorf("told of %+v", o.tries)
	}
}

func TestASourceIsLoggedByWhatItCameTo(t *testing.T) {
	good, absent := startRegistry(t, true, has), startRegistry(t, true, status(http.StatusNotFound))
	o := &told{}
	config := o.config(t)
	s := New(config)
	setRules(t, s, fmt.Sprintf("a: s.com/x -> m.com\na: %s -> m.com\na: %s -> m.com\na: %s/shut -> m.com [Never]", good.host, absent.host, good.host), good.host, absent.host)
	for _, c := range []struct {
		host, repository, entry string
		want                    accesslog.Outcome
		told                    string
	}{
		{"s.com", "x/y", "source", accesslog.Sent, "s.com/x sent"},
		{"s.com", "z", "source", accesslog.Sent, ""},
		{good.host, "y", "source", accesslog.Served, good.host + " sent"},
		{absent.host, "y", "source", accesslog.Missing, absent.host + " sent"},
		{good.host, "shut/y", "source", accesslog.Refused, good.host + "/shut refused"},
		{good.host, "old", "insecure", accesslog.Served, good.host + " sent"},
	} {
		o.atSource = nil
		ask(t, s, http.MethodGet, pathTo(c.entry, c.host, c.repository, "1"))
		pulls := config.Pulls.Pulls()
		tries := pulls[len(pulls)-1].Tries
		if len(tries) != 1 || !tries[0].Source || tries[0].Outcome != c.want || tries[0].Place != c.host+"/"+c.repository {
			t.Errorf("%s/%s: the log has %+v", c.host, c.repository, tries)
		}
		if got := strings.Join(o.atSource, ", "); got != c.told {
			t.Errorf("%s/%s: told of %q, want %q", c.host, c.repository, got, c.told)
		}
	}
	if len(o.tries) > 0 {
		t.Errorf("told of mirrors: %+v", o.tries)
	}
}

func TestWhatWouldBeRefusedIsToldAndLogged(t *testing.T) { // V5
	good, empty := startRegistry(t, false, has), startRegistry(t, false, status(http.StatusNotFound))
	sets := fmt.Sprintf("D a: s.com -> %s/m\nT a: s.com -> %s/m\na: s.com/w -> %s/w\na: s.com/z -> %s/w, m.com", empty.host, empty.host, good.host, good.host)
	image := "s.com/x@" + manifestDigest
	for name, c := range map[string]struct {
		method, path           string
		atSource, refused, log string
	}{
		"a manifest at the source":  {http.MethodGet, pathTo("source", "s.com", "x", manifestDigest), "s.com sent, s.com would_be_refused", "s.com " + image, "a"},
		"a blob at the source":      {http.MethodGet, blobAt(pathTo("source", "s.com", "x", manifestDigest)), "s.com sent, s.com would_be_refused", "s.com s.com/x", "a"},
		"a tag at the source":       {http.MethodHead, pathTo("source", "s.com", "x", "1"), "s.com sent, s.com would_be_refused", "s.com s.com/x:1", "a"},
		"a mirror that is empty":    {http.MethodGet, pathTo("0", "s.com", "x", manifestDigest), "", "", ""},
		"a mirror in a watched one": {http.MethodGet, pathTo("0", "s.com", "w/x", manifestDigest), "s.com/w would_be_refused, " + good.host + "/w would_be_refused", "s.com/w s.com/w/x@" + manifestDigest + ", " + good.host + "/w s.com/w/x@" + manifestDigest, "b, c"},
		"one with a mirror behind":  {http.MethodGet, pathTo("0", "s.com", "z/x", manifestDigest), "", "", ""},
		"what is not watched":       {http.MethodGet, pathTo("source", "t.com", "x", manifestDigest), "", "", ""},
	} {
		o := &told{}
		config := o.config(t)
		s := New(config)
		setRules(t, s, sets)
		rules := *s.rules.Load()
		rules.Watched = map[string]string{"s.com": "a", "s.com/w": "b", "s.com/z": "d", good.host + "/w": "c"}
		s.SetRules(rules)
		ask(t, s, c.method, c.path)
		if got := strings.Join(o.atSource, ", "); got != c.atSource {
			t.Errorf("%s: told of %q, want %q", name, got, c.atSource)
		}
		if got := strings.Join(o.refused, ", "); got != c.refused {
			t.Errorf("%s: would refuse %q, want %q", name, got, c.refused)
		}
		if got := config.Pulls.Pulls()[0].WouldRefuse; got != c.log {
			t.Errorf("%s: the log has %q, want %q", name, got, c.log)
		}
	}
}

func TestAnImageOfWhichAMirrorHasNoLayersWouldBeRefused(t *testing.T) { // V5
	mirror := startRegistry(t, false, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		has(w, r)
	})
	o := &told{}
	s := New(o.config(t))
	setRules(t, s, fmt.Sprintf("D a: s.com -> %s/m\nT a: s.com -> %s/m", mirror.host, mirror.host))
	rules := *s.rules.Load()
	rules.Watched = map[string]string{"s.com": "a"}
	s.SetRules(rules)
	ask(t, s, http.MethodHead, pathTo("0", "s.com", "x", "1"))
	ask(t, s, http.MethodGet, pathTo("0", "s.com", "x", manifestDigest))
	for _, entry := range []string{"0", "source"} {
		ask(t, s, http.MethodGet, blobAt(pathTo(entry, "s.com", "x", otherDigest)))
	}
	if want := []string{"s.com s.com/x:1"}; !slices.Equal(o.refused, want) {
		t.Errorf("would refuse %q, want %q", o.refused, want)
	}
}
