// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles_test

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mirrorset/mirrorset/internal/mirrorfiles"
)

// rewriting is one pattern and its replacement.
type rewriting [2]string

// askedByK3s is written after k3s v1.33 (pkg/agent/containerd) and its containerd (core/remotes/docker/resolver.go): each endpoint
// is asked for what the first pattern makes that changes the repository, whichever that is, and the path is cleaned. It returns
// false where it depends on chance, or where an endpoint has its API at another root.
func askedByK3s(t logger, repository string, endpoints []string, rewrites []rewriting) (asked []string, ok bool) {
	t.Helper()
	made := map[string]bool{}
	for _, r := range rewrites {
		if exp, err := regexp.Compile(r[0]); err == nil {
			if rewritten := exp.ReplaceAllString(repository, r[1]); rewritten != repository {
				made[path.Clean("/"+rewritten)] = true
			}
		}
	}
	if len(made) == 0 {
		made[repository] = true
	}
	if len(made) > 1 {
		return nil, false
	}
	for _, text := range endpoints {
		if !strings.Contains(text, "://") {
			text = "https://" + text
		}
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		root := u.Path
		if root == "" || root == "/" {
			root = "/v2"
		}
		for name := range made {
			below, isBelow := strings.CutPrefix(path.Join("/", root, name), "/v2/")
			if !isBelow {
				return nil, false
			}
			if place := strings.Replace(u.Host, "registry-1.docker.io", "docker.io", 1) + "/" + below; !slices.Contains(asked, place) {
				asked = append(asked, place)
			}
		}
	}
	return asked, true
}

// yamlOf is a registries.yaml of one registry.
func yamlOf(host string, endpoints []string, rewrites []rewriting) string {
	var text strings.Builder
	fmt.Fprintf(&text, "mirrors:\n  %q:\n    endpoint:\n", host)
	for _, e := range endpoints {
		fmt.Fprintf(&text, "    - %q\n", e)
	}
	if len(rewrites) > 0 {
		text.WriteString("    rewrite:\n")
	}
	for _, r := range rewrites {
		fmt.Fprintf(&text, "      '%s': '%s'\n", r[0], r[1])
	}
	return text.String()
}

var repositories = []string{
	"library/alpine", "library/alpine-x", "rancher/pause", "rancher/a/b", "team/rancher/pause", "rancherx/y", "library/busybox", "a/b_c/d.e", "grafana/x",
}

// rewritings are all that the tests know, with whether a set can say them.
var rewritings = []struct {
	rewriting
	carries bool
}{
	{rewriting{"^(.*)$", "hub/$1"}, true},
	{rewriting{"^(.*)", "hub/$1"}, true},
	{rewriting{"(.*)$", "hub/${1}"}, true},
	{rewriting{"(.*)", "hub/$1"}, true},
	{rewriting{"(.+)", "a/b/$1"}, true},
	{rewriting{"(^.+$)", "docker.io/$1"}, true},   // case 12
	{rewriting{"^(.*)$", "/team/proxy/$1"}, true}, // case 15
	{rewriting{"^/?(.*)", "hub/$1"}, true},
	{rewriting{"/?(.*)", "/hub//$1"}, true},
	{rewriting{".*", "hub/$0"}, true},
	{rewriting{"^.+$", "hub/${0}"}, true},
	{rewriting{"^(?P<all>.*)$", "hub/${all}"}, true},
	{rewriting{"^", "hub/"}, true},
	{rewriting{"^([a-z0-9._/-]+)$", "hub/$1"}, true},
	{rewriting{`^([\S]+)$`, "hub/$1"}, true},
	{rewriting{"^((?:.*))$", "$1"}, true}, // changes nothing
	{rewriting{"^rancher/(.*)", "mirrored/$1"}, true},
	{rewriting{"^rancher/(.*)$", "a/b/${1}"}, true},
	{rewriting{`^rancher\/(.+)`, "$1"}, true},
	{rewriting{"^rancher(/.*)$", "mirrored$1"}, true},
	{rewriting{"^(rancher/.*)$", "mirrored/$1"}, true},
	{rewriting{"^rancher/", "mirrored/"}, true},
	{rewriting{"^library/alpine$", "os/alpine"}, true},
	{rewriting{"rancher/(.*)", "mirrored/$1"}, false},      // in the middle too
	{rewriting{"^rancher(.*)", "mirrored$1"}, false},       // within a component
	{rewriting{"^rancher/(.*)", "mirrored-$1"}, false},     // joined to a component
	{rewriting{"^rancher/(.*)", "mirrored"}, false},        // all in one place
	{rewriting{"^(.*)$", "hub"}, false},                    // all in one place
	{rewriting{"^(.*)$", "hub$1"}, false},                  // joined to a component
	{rewriting{"^([a-pr-z0-9._/-]+)$", "hub/$1"}, false},   // not where there is a q
	{rewriting{"^(.*)$", "$1/hub"}, false},                 // behind it
	{rewriting{"^(.*)$", "$1x/hub"}, false},                // there is no group 1x
	{rewriting{"^(.*)$", "hub-$1"}, false},                 // joined to a component
	{rewriting{"^(.*)$", "../hub/$1"}, false},              // out of the API
	{rewriting{"^(.*)$", "Hub/$1"}, false},                 // no path of a repository
	{rewriting{"^(.*)/(.*)$", "$2/$1"}, false},             // turned around
	{rewriting{"^ranch.r/(.*)", "mirrored/$1"}, false},     // more than a literal
	{rewriting{"^[a-z]+/(.*)", "mirrored/$1"}, false},      //
	{rewriting{"^([^/]+)/(.*)$", "hub/$1/$2"}, false},      //
	{rewriting{"(?i)^RANCHER/(.*)", "mirrored/$1"}, false}, //
	{rewriting{"^(.*?)", "hub/$1"}, false},                 // takes nothing, or one component: nobody writes it
	{rewriting{"^(?!rancher)(.*)", "hub/$1"}, false},       // not Go's
	{rewriting{"^/(.*)", "hub/$1"}, false},                 // never matches
	{rewriting{"^pause$", "hub/pause"}, false},             // never matches on Docker Hub
	{rewriting{"^library/alpine/$", "os/alpine"}, false},   // no repository ends with a slash
	{rewriting{"^$", "hub"}, false},                        // nor is it empty
	{rewriting{"$", "/x"}, false},
	{rewriting{"", "x/"}, false},
	{rewriting{"^(library|rancher)/(.*)", "hub/$1/$2"}, false},
}

func TestEachRewriteMeansTheSameOrItsRegistryIsLeftOut(t *testing.T) {
	endpoints := []string{"https://m.example:5000", "n.example/v2/below"}
	for _, tt := range rewritings {
		content, err := mirrorfiles.K3s(toJSON(t, yamlOf("docker.io", endpoints, []rewriting{tt.rewriting})), false)
		if err != nil {
			t.Errorf("%q: %v", tt.rewriting, err)
			continue
		}
		if carries := len(content.Entries) > 0; carries != tt.carries {
			t.Errorf("%q carries over: %t, want %t: %q", tt.rewriting, carries, tt.carries, content.Lost)
			continue
		}
		if !tt.carries {
			says(t, content.Lost, `registry "docker.io" is left out`, fmt.Sprintf("%q to %q", tt.rewriting[0], tt.rewriting[1]))
			continue
		}
		wantPlaces(t, content, endpoints, []rewriting{tt.rewriting})
	}
}

// wantPlaces compares where images come from.
func wantPlaces(t logger, content *mirrorfiles.Content, endpoints []string, rewrites []rewriting) {
	t.Helper()
	rules := merged(content).Rules
	for _, repository := range repositories {
		want, ok := askedByK3s(t, repository, endpoints, rewrites)
		if !ok {
			t.Fatalf("%q of %q: no set can say where %q comes from", rewrites, endpoints, repository)
		}
		source := "docker.io/" + repository
		// An endpoint that is the registry itself stands in for it where it is the last one, rewrites and all.
		if want[len(want)-1] != source && endpoints[len(endpoints)-1] != "https://registry-1.docker.io" {
			want = append(want, source)
		}
		for _, suffix := range []string{digest, ":1"} {
			if got := places(t, rules, source+suffix); !slices.Equal(got, want) {
				t.Fatalf("%q of %q: %s%s comes from\n%q, want\n%q", rewrites, endpoints, repository, suffix, got, want)
			}
		}
	}
}

func TestAnyRegistriesYAMLMeansTheSameOrIsLeftOut(t *testing.T) {
	carried, leftOut := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		endpoints := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
			"https://m.example:5000", "http://n.example", "o.example/v2/below", "https://p.example/v2/", "https://m.example:5000/v2/x", "q.example/",
			"https://odd.example/hub", "https://odd.example/v2hub", "https://odd.example/hub/v2", "https://registry-1.docker.io",
		}), 1, 3, rapid.ID).Draw(t, "endpoints")
		var rewrites []rewriting
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(rewritings)-1), 0, 2, rapid.ID).Draw(t, "rewrites") {
			if !slices.ContainsFunc(rewrites, func(r rewriting) bool { return r[0] == rewritings[i].rewriting[0] }) {
				rewrites = append(rewrites, rewritings[i].rewriting)
			}
		}
		content, err := mirrorfiles.K3s(toJSON(t, yamlOf("docker.io", endpoints, rewrites)), false)
		switch {
		case err != nil:
			t.Fatal(err)
		case len(content.Entries) > 0:
			carried++
			wantPlaces(t, content, endpoints, rewrites)
		case len(content.Lost) == 0 && !slices.Equal(endpoints, []string{"https://registry-1.docker.io"}):
			t.Fatal("it is left out in silence")
		default:
			leftOut++
		}
	})
	if !t.Failed() && (carried == 0 || leftOut == 0) {
		t.Errorf("%d carried over and %d were left out", carried, leftOut)
	}
}

func TestWhyARewriteIsNotUnderstoodIsSaid(t *testing.T) {
	for pattern, why := range map[string]string{
		"(?i)^rancher/(.*)":  "does not simply replace one path",
		"rancher/(.*)":       "matches in the middle of a path too",
		"^/(.*)":             "matches no repository",
		"^(?!rancher/)(.*)$": "has a regular expression that k3s cannot read",
	} {
		content, err := mirrorfiles.K3s(toJSON(t, yamlOf("docker.io", []string{"m.example"}, []rewriting{{pattern, "hub/$1"}})), false)
		if err != nil {
			t.Fatal(err)
		}
		says(t, content.Lost, pattern, why)
	}
	// On Docker Hub, one component alone is no repository in any case.
	for _, pattern := range []string{"^$", "^app/$", "^/app$"} {
		content, err := mirrorfiles.K3s(toJSON(t, yamlOf("quay.io", []string{"m.example"}, []rewriting{{pattern, "hub"}})), false)
		if err != nil || len(content.Entries) > 0 {
			t.Fatalf("%s: error %v, entries %v", pattern, err, content.Entries)
		}
		says(t, content.Lost, pattern, "matches no repository")
	}
}

func TestRewritesThatDifferAboutOneRepositoryLeaveItOut(t *testing.T) {
	for _, tt := range []struct {
		rewrites []rewriting
		why      string
	}{
		{[]rewriting{{"^(.*)$", "a/$1"}, {"(.*)", "b/$1"}}, "k3s uses either of them"},
		{[]rewriting{{"^(.*)$", "a/$1"}, {"^rancher/(.*)", "b/$1"}}, "k3s uses either of them"},
		{[]rewriting{{"^x/app$", "team/app"}, {"^x/app/(.*)", "team2/$1"}}, "a set cannot"},
	} {
		content, err := mirrorfiles.K3s(toJSON(t, yamlOf("docker.io", []string{"m.example"}, tt.rewrites)), false)
		if err != nil || len(content.Entries) > 0 {
			t.Errorf("%q: error %v, entries %v", tt.rewrites, err, content.Entries)
			continue
		}
		says(t, content.Lost, tt.why, tt.rewrites[0][0], tt.rewrites[1][0], tt.rewrites[0][1])
	}
	for _, same := range [][]rewriting{
		{{"^(.*)$", "hub/$1"}, {"^rancher/(.*)", "hub/rancher/$1"}},
		{{"^x/app$", "hub/x/app"}, {"^x/app/(.*)", "hub/x/app/$1"}},
		{{"^rancher/(.*)", "rancher/$1"}, {"^(.*)$", "hub/$1"}}, // the first one changes nothing, so the second one counts
	} {
		content, err := mirrorfiles.K3s(toJSON(t, yamlOf("docker.io", []string{"m.example"}, same)), false)
		if err != nil || len(content.Lost) > 0 {
			t.Fatalf("%q: error %v, lost %q", same, err, content.Lost)
		}
		wantPlaces(t, content, []string{"m.example"}, same)
	}
}
