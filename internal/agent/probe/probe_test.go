// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/agent/probe"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/redirect"
	"github.com/mirrorset/mirrorset/internal/route"
)

// registry is one that has the manifests of some repositories, and remembers what it was asked.
type registry struct {
	host string

	mu       sync.Mutex
	statuses map[string]int // by repository; 404 for others
	asked    []string
}

func start(t *testing.T) *registry {
	t.Helper()
	r := &registry{statuses: make(map[string]int)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		repository, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/v2/"), "/manifests/")
		r.asked = append(r.asked, req.Method+" "+strings.TrimPrefix(req.URL.Path, "/v2/"))
		code := r.statuses[repository]
		if code == 0 {
			code = http.StatusNotFound
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(code)
	}))
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

func (r *registry) set(statuses map[string]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statuses, r.asked = statuses, nil
}

func (r *registry) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

// rulesOf reads sets whose mirrors may all be reached by plain HTTP.
func rulesOf(t *testing.T, sets string) *route.Router {
	t.Helper()
	parsed, err := mirrorstest.Parse(sets)
	if err != nil {
		t.Fatal(err)
	}
	var insecure mirrors.Scopes
	for _, rule := range kinds.Merge(parsed, nil).Rules {
		for _, m := range rule.Mirrors {
			insecure = append(insecure, mirrors.Scope(m.Location.Host()))
		}
	}
	return route.NewRouter(kinds.Merge(parsed, insecure).Rules)
}

// asker returns a node's way to ask registries, by rules.
func asker(t *testing.T, rules *route.Router) probe.Ask {
	t.Helper()
	s := redirect.New(redirect.Config{
		Keys: func() []route.Key { return nil }, Roots: x509.NewCertPool, Complained: func() {}, Log: logr.Discard(),
	})
	s.SetRules(redirect.Rules{Router: rules})
	return s.Ask
}

func parse(t *testing.T, images ...string) (all []mirrors.Reference) {
	t.Helper()
	for _, image := range images {
		ref, err := mirrors.ParseReference(image)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ref)
	}
	return all
}

const digest = "@sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706"

func TestWhatCanNoLongerBePulledIsLost(t *testing.T) { // C9
	source, mirror, other := start(t), start(t), start(t)
	// In rules and expectations, S is the source, and M and O are mirrors.
	named := strings.NewReplacer("S", source.host, "M", mirror.host, "O", other.host).Replace
	type has = map[string]int
	for name, c := range map[string]struct {
		before, after          string
		image                  string
		source, mirror, other  has
		lost                   string // why; empty where it is not
		mayYetBe               bool
		untouched              bool
		atSource, atMirror, at []string // the repositories that are asked for; at is for O
	}{
		"no rule is about it": {before: "a: S/other -> M/m", image: "S/a/x" + digest, untouched: true},
		"the source is open": {
			after: "a: S -> M/m", image: "S/a/x" + digest, source: has{"a/x": 200},
			atMirror: []string{"m/a/x"}, atSource: []string{"a/x"},
		},
		"the mirror failed while it was asked, and the other one lacks it": {
			before: "a: S -> M/m [Never]", after: "a: S -> O/o [Never]", image: "S/a/x" + digest, mirror: has{"m/a/x": 503},
			at: []string{"o/a/x"}, atMirror: []string{"m/a/x"}, lost: "O/o/a/x: 404 Not Found; the source is blocked",
		},
		"the same mirror fails by the new rules as by the old ones": {
			before: "a: S -> M/m [Never]", after: "a: S -> M/m, O/o [Never]", image: "S/a/x" + digest, mirror: has{"m/a/x": 503},
			at: []string{"o/a/x"}, atMirror: []string{"m/a/x"},
		},
		"the mirror has it": {after: "a: S -> M/m, O [Never]", image: "S/a/x" + digest, mirror: has{"m/a/x": 200}, atMirror: []string{"m/a/x"}},
		"only the second mirror has it": {
			after: "a: S -> M/m, O/o [Never]", image: "S/a/x" + digest, other: has{"o/a/x": 200}, atMirror: []string{"m/a/x"}, at: []string{"o/a/x"},
		},
		"the source is newly blocked, and the mirror has it not": {
			after: "a: S -> M/m [Never]", image: "S/a/x" + digest, source: has{"a/x": 200}, atMirror: []string{"m/a/x"},
			lost: "M/m/a/x: 404 Not Found; the source is blocked",
		},
		"the same by tag": {
			after: "T a: S -> M/m [Never]", image: "S/a/x:1", source: has{"a/x": 200}, atMirror: []string{"m/a/x"},
			lost: "M/m/a/x: 404 Not Found; the source is blocked",
		},
		"a tag, and mirrors for digests": {after: "a: S -> M/m [Never]", image: "S/a/x:1", source: has{"a/x": 200}, lost: "no mirror can serve it by tag; the source is blocked"},
		"a misspelt mirror":              {after: "a: S -> m.invalidd [Never]", image: "S/a/x" + digest, source: has{"a/x": 200}, mayYetBe: true, lost: "m.invalidd/a/x: no such host; the source is blocked"},
		"blocked for good":               {after: "a: S -> m.invalid [Never]", image: "S/a/x" + digest, source: has{"a/x": 200}, lost: "no mirror can serve it by digest; the source is blocked"},
		"a mirror that is blocked is not asked": {
			after: "a: S -> M/m [Never]\nb: M/m -> O/o [Never]", image: "S/a/x" + digest, mirror: has{"m/a/x": 200},
			lost: "no mirror can serve it by digest; the source is blocked",
		},
		"it could not be had before": {
			before: "a: S -> O/o [Never]", after: "a: S -> M/m [Never]", image: "S/a/x" + digest, source: has{"a/x": 200},
			atMirror: []string{"m/a/x"}, at: []string{"o/a/x"},
		},
		"it came from another mirror": {
			before: "a: S -> O/o [Never]", after: "a: S -> M/m [Never]", image: "S/a/x" + digest, other: has{"o/a/x": 200},
			atMirror: []string{"m/a/x"}, at: []string{"o/a/x"}, lost: "M/m/a/x: 404 Not Found; the source is blocked",
		},
		"the other mirror may have had it": {
			before: "a: S -> O/o [Never]", after: "a: S -> M/m [Never]", image: "S/a/x" + digest, other: has{"o/a/x": 403},
			atMirror: []string{"m/a/x"}, at: []string{"o/a/x"}, lost: "M/m/a/x: 404 Not Found; the source is blocked",
		},
		"the other mirror must not be asked any more": {
			before: "a: S -> O/o [Never]", after: "a: S -> M/m [Never]\nb: O -> M/m [Never]", image: "S/a/x" + digest, other: has{"o/a/x": 404},
			atMirror: []string{"m/a/x"}, lost: "M/m/a/x: 404 Not Found; the source is blocked",
		},
		"the source refuses, as it does without a Pod's secret": {
			after: "a: S -> M/m", image: "S/a/x" + digest, source: has{"a/x": 401}, atMirror: []string{"m/a/x"}, atSource: []string{"a/x"},
		},
		"the mirror wants a login that nobody gave the nodes": {
			after: "a: S -> M/m [Never]", image: "S/a/x" + digest, mirror: has{"m/a/x": 401}, atMirror: []string{"m/a/x"},
			lost: "M/m/a/x: M answered 401 Unauthorized, and there is no login for it; the source is blocked",
		},
		"a mirror is gone, and the source is as it was": {
			before: "a: S -> M/m, O/o", after: "a: S -> O/o", image: "S/a/x" + digest, at: []string{"o/a/x"}, atSource: []string{"a/x"}, atMirror: []string{"m/a/x"},
		},
		"a mirror is gone that had it": {
			before: "a: S -> M/m, O/o", after: "a: S -> O/o", image: "S/a/x" + digest, mirror: has{"m/a/x": 200}, at: []string{"o/a/x"}, atSource: []string{"a/x"}, atMirror: []string{"m/a/x"},
			lost: "O/o/a/x: 404 Not Found; S/a/x: 404 Not Found",
		},
		"the source opens": {before: "a: S -> M/m [Never]", image: "S/a/x" + digest, source: has{"a/x": 200}, atSource: []string{"a/x"}},
	} {
		source.set(c.source)
		mirror.set(c.mirror)
		other.set(c.other)
		change := probe.Change{Before: rulesOf(t, named(c.before)), After: rulesOf(t, named(c.after))}
		images, ask := parse(t, named(c.image)), asker(t, change.After)
		got := change.Probe(t.Context(), images, ask)
		want := probe.Result{Asked: 1}
		if c.untouched {
			want.Asked = 0
		}
		if c.lost != "" {
			want.Lost = []probe.Lost{{Image: images[0], Why: named(c.lost), MayYetBe: c.mayYetBe}}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		_, suffix, _ := strings.Cut(c.image, "x")
		for r, want := range map[*registry][]string{source: c.atSource, mirror: c.atMirror, other: c.at} {
			for i := range want {
				want[i] = "HEAD " + want[i] + "/manifests/" + suffix[1:]
			}
			if asked := r.requests(); !slices.Equal(asked, want) {
				t.Errorf("%s: %s was asked %q, want %q", name, r.host, asked, want)
			}
		}
		if again := change.Again(t.Context(), got.Lost, ask); fmt.Sprint(again) != fmt.Sprint(got.Lost) {
			t.Errorf("%s: asked again, got %+v, want %+v", name, again, got.Lost)
		}
		if isBlocked := change.After.Route(source.host, "a/x", images[0].Mode).IsBlocked(); isBlocked && len(source.requests()) > 0 {
			t.Errorf("%s: the blocked source was asked %q", name, source.requests())
		}
	}
}

func TestWhatAMirrorGotMeanwhileIsLostNoMore(t *testing.T) {
	source, mirror := start(t), start(t)
	source.set(map[string]int{"x": 200, "y": 200})
	change := probe.Change{Before: rulesOf(t, ""), After: rulesOf(t, "a: "+source.host+" -> "+mirror.host+" [Never]")}
	images := parse(t, source.host+"/x"+digest, source.host+"/y"+digest)
	ask := asker(t, change.After)
	lost := change.Probe(t.Context(), images, ask).Lost
	mirror.set(map[string]int{"x": 200})
	if still := change.Again(t.Context(), lost, ask); len(lost) != 2 || len(still) != 1 || still[0].Image != images[1] {
		t.Errorf("lost %v, and then %v", lost, still)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if still := change.Again(ended, lost, ask); len(still) != 2 {
		t.Errorf("after the end, lost %v", still)
	}
	if asked := source.requests(); len(asked) > 0 {
		t.Errorf("the blocked source was asked %q", asked)
	}
}

// bounded are 40 images of a source that got a mirror.
func bounded(t *testing.T) (change probe.Change, images []mirrors.Reference) {
	t.Helper()
	for i := range 40 {
		images = append(images, parse(t, fmt.Sprintf("s.com/x%02d%s", i, digest))...)
	}
	return probe.Change{Before: rulesOf(t, ""), After: rulesOf(t, "a: s.com -> m.com [Never]")}, images
}

func TestAProbeIsBounded(t *testing.T) {
	change, images := bounded(t)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most, asked := 0, 0, 0
		ask := func(ctx context.Context, _ route.Target, _ string, _ bool) route.Answer {
			mu.Lock()
			now, asked = now+1, asked+1
			most = max(most, now)
			mu.Unlock()
			defer func() { mu.Lock(); now--; mu.Unlock() }()
			select {
			case <-ctx.Done():
				return route.Answer{Found: route.Lacks}
			case <-time.After(10 * time.Second):
				return route.Answer{Found: route.Has}
			}
		}
		began := time.Now()
		got := change.Probe(t.Context(), images, ask)
		if took := time.Since(began); got.Asked < 12 || got.Asked > 16 || got.NotAsked != 40-got.Asked || got.Lost != nil || took != 40*time.Second || most != 4 || asked > 32 {
			t.Errorf("got %+v after %s, %d at once, %d asked", got, took, most, asked)
		}
	})
	got := change.Probe(t.Context(), images, func(context.Context, route.Target, string, bool) route.Answer {
		return route.Answer{Found: route.Has}
	})
	if got.Asked != 32 || got.NotAsked != 8 {
		t.Errorf("got %+v", got)
	}
}

func TestARegistryThatHangsIsWaitedForOnce(t *testing.T) {
	change, images := bounded(t)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		got := change.Probe(t.Context(), images, func(context.Context, route.Target, string, bool) route.Answer {
			time.Sleep(10 * time.Second)
			return route.Answer{Found: route.Silent, Why: "it does not answer within 10s"}
		})
		if len(got.Lost) != 32 || time.Since(began) != 10*time.Second || !strings.Contains(got.Lost[31].Why, "m.com/x31: it does not answer") {
			t.Errorf("got %+v after %s", got, time.Since(began))
		}
	})
}

func TestWhichRepositoriesAChangeTouches(t *testing.T) {
	change := probe.Change{Before: rulesOf(t, "a: s.com/x -> m.com\nb: t.com -> n.com"), After: rulesOf(t, "a: s.com/x -> m.com\nT c: s.com/x -> m.com\nb: t.com -> o.com, n.com\nd: n.com -> m.com [Never]")}
	for name, want := range map[string]bool{"s.com/x/y": true, "s.com/z": false, "t.com/x": true, "n.com/x": true, "u.com/x": false} {
		host, repository, _ := strings.Cut(name, "/")
		if got := change.TouchesRepository(host, repository); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if change.Touches(parse(t, "s.com/x/y"+digest)[0]) || !change.Touches(parse(t, "s.com/x/y:1")[0]) {
		t.Error("only images by tag come from elsewhere")
	}
}
