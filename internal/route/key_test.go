// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package route_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/route"
)

func TestAnElementOpensTheEntryOfItsRegistryAlone(t *testing.T) {
	key := route.Key("k")
	path := key.Path("m.com:5000", "0")
	element, entry, below, ok := route.CutPath(path + "/x/y/manifests/1")
	if !ok || entry != "0" || below != "x/y/manifests/1" || !key.Opens(element, "m.com:5000", "0") {
		t.Fatalf("%s: element %q, entry %q, below %q, ok %t", path, element, entry, below, ok)
	}
	for _, c := range []struct {
		key      route.Key
		registry string
		entry    route.Entry
	}{{"other", "m.com:5000", "0"}, {"k", "m.com", "0"}, {"k", "m.com:5000", "1"}, {"k", route.AnyHost, "0"}, {"", "m.com:5000", "0"}} {
		if c.key.Opens(element, c.registry, c.entry) {
			t.Errorf("opens %+v", c)
		}
	}
	if key.Opens("", "m.com:5000", "0") || key.Opens(element[:31], "m.com:5000", "0") {
		t.Error("a part of the element opens too")
	}
}

func TestPathsOfTheRedirectorAreTakenApart(t *testing.T) {
	for path, want := range map[string]string{
		"/v2/_mirrorset/0/x/manifests/1":                          " 0 x/manifests/1",
		"/v2/_mirrorset/source":                                   " source ",
		"/v2/_mirrorset/" + strings.Repeat("a", 32) + "/source/x": strings.Repeat("a", 32) + " source x",
		"/v2/_mirrorset/" + strings.Repeat("A", 32) + "/source/x": " " + strings.Repeat("A", 32) + " source/x",
		"/v2/_mirrorset/" + strings.Repeat("a", 31) + "/source/x": " " + strings.Repeat("a", 31) + " source/x",
		"/v2/_mirrorset/" + strings.Repeat("a", 32):               strings.Repeat("a", 32) + "  ",
	} {
		element, entry, below, ok := route.CutPath(path)
		if got := fmt.Sprintf("%s %s %s", element, string(entry), below); got != want || !ok {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if _, _, _, ok := route.CutPath("/v2/x/0"); ok {
		t.Error("a path of somebody else's is taken for one")
	}
	if text := fmt.Sprintf("%v %s %q %#v", route.Key("hush"), route.Key("hush"), route.Key("hush"), route.Key("hush")); strings.Contains(text, "hush") {
		t.Errorf("printing shows a key: %s", text)
	}
}
