// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package route_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/route"
)

func TestARankLeadsToTheMirrorAtItsPlace(t *testing.T) {
	sets, err := mirrorstest.Parse("a: s.com/x -> m.com/y, docker.io/z, shut.com/z, never.invalid, n.com\na: shut.com -> m.com [Never]\na: docker.io/shut -> m.com [Never]\na: *.wild.com -> m.com")
	if err != nil {
		t.Fatal(err)
	}
	router := route.NewRouter(kinds.Merge(sets, nil).Rules)
	way := router.Route("s.com", "x/app", mirrors.ByDigest)
	if want := []mirrors.Scope{"m.com/y", "docker.io/z", "n.com"}; !reflect.DeepEqual(way.Locations, want) {
		t.Errorf("they lie at %q, want %q", way.Locations, want)
	}
	if got := router.Route("a.wild.com", "app", mirrors.ByDigest).Locations; !reflect.DeepEqual(got, []mirrors.Scope{"m.com"}) {
		t.Errorf("behind a wildcard: %q", got)
	}
	got := way.Mirrors
	if want := []route.Target{{Host: "m.com", Repository: "y/app"}, {Host: "registry-1.docker.io", Repository: "z/app"}, {Host: "n.com", Repository: "app"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if way := router.Route("s.com", "other", mirrors.ByDigest); way.Rule != nil || len(way.Mirrors) > 0 || way.Source != (route.Target{Host: "s.com", Repository: "other"}) {
		t.Errorf("what no source matches: got %+v", way)
	}
	if way := router.Route("shut.com", "x", mirrors.ByDigest); !way.IsBlocked() {
		t.Errorf("what is blocked: got %+v", way)
	}
	for path, want := range map[string]bool{"/v2/shut/x/manifests/1": true, "/v2/shutter/manifests/1": false, "/v2/": false} {
		if got := router.Blocks("registry-1.docker.io", path); got != want {
			t.Errorf("%s: blocked %t", path, got)
		}
	}
	if got := router.Blocker("registry-1.docker.io", "/v2/shut/x/manifests/1"); got != "docker.io/shut" {
		t.Errorf("blocked by %q", got)
	}
	more := router.WithBlocked(slices.Values([]mirrors.Scope{"s.com/x", "bare.com/y"}))
	for host, want := range map[string]mirrors.Scope{"s.com": "s.com/x", "bare.com": "", "shut.com": "shut.com", "n.com": ""} {
		if got := more.Blocker(host, "/v2/x/app/manifests/1"); got != want {
			t.Errorf("with more blocked, %s is blocked by %q, want %q", host, got, want)
		}
	}
	if router.Blocks("s.com", "/v2/x/app") || more.Blocker("bare.com", "/v2/y/z") != "bare.com/y" || len(more.Route("s.com", "x/app", mirrors.ByDigest).Mirrors) != 3 {
		t.Error("the router that more is blocked for is not the other one with more blocked")
	}
	for repository, want := range map[mirrors.Scope]bool{"m.com/y/app": true, "m.com/y": true, "registry-1.docker.io/z/app": true, "n.com/any": true, "o.com/y": false} {
		if got := router.HasMirror(repository); got != want {
			t.Errorf("%s: is in a mirror %t", repository, got)
		}
	}
	for host, want := range map[string]mirrors.Scope{"a.wild.com": "*.wild.com", "a.wild.com:5000": "", "wild.com": "", "s.com": ""} {
		if got := router.Wildcard(host); got != want {
			t.Errorf("%s: the wildcard is %q", host, got)
		}
	}
}

func TestEntriesAreWrittenInOneWay(t *testing.T) {
	for entry, want := range map[route.Entry]bool{"0": true, "12": true, route.Source: true, route.InsecureSource: true, "": false, "+1": false, "01": false, "-1": false, "x": false} {
		if entry.IsValid() != want {
			t.Errorf("%q: valid %t", entry, !want)
		}
	}
}
