// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/route"
)

func TestOnlyTheElementInTheRegistrysFileOpensAnEntry(t *testing.T) { // N10
	const sets = "a: s.com/x -> m.com/y [Never]\na: *.wild.com -> m.com/w\na: shut.wild.com/z -> m.com/z"
	now, before, other := route.Key("now"), route.Key("before"), route.Key("other")
	keys := []route.Key{now, before}
	s := New(wired(Config{Log: logr.Discard(), Keys: func() []route.Key { return keys }}))
	plain := startRegistry(t, true, has)
	setRules(t, s, sets+"\na: "+plain.host+"/x -> m.com", plain.host)
	for _, c := range []struct {
		name, path, host, repository string
		want                         int
	}{
		{"the registry's element", now.Path("s.com", route.Source), "s.com", "x/app", http.StatusForbidden},
		{"that of the key before", before.Path("s.com", route.Source), "s.com", "x/app", http.StatusForbidden},
		{"that of another node", other.Path("s.com", route.Source), "s.com", "x/app", http.StatusNotFound},
		{"that of another registry", now.Path("t.com", route.Source), "s.com", "x/app", http.StatusNotFound},
		{"that of another entry", now.Path("s.com", "0")[:len(now.Path("s.com", "0"))-1] + "source", "s.com", "x/app", http.StatusNotFound},
		{"none", route.Key("").Path("s.com", route.Source), "s.com", "x/app", http.StatusNotFound},
		{"that of all registries without a file, for one with a file", now.Path(route.AnyHost, route.Source), "s.com", "x/app", http.StatusNotFound},
		{"that of all, for a wildcard", now.Path(route.AnyHost, route.Source), "a.wild.com", "app", http.StatusTemporaryRedirect},
		{"that of all, for the narrower source of a wildcard", now.Path(route.AnyHost, route.Source), "shut.wild.com", "z/app", http.StatusNotFound},
		{"that of all, for what no rule knows", now.Path(route.AnyHost, route.Source), "t.com", "app", http.StatusTemporaryRedirect},
		{"one of an older agent's file", now.Path(plain.host, route.InsecureSource), plain.host, "y", http.StatusOK},
		{"one of it by the key before", before.Path(plain.host, route.InsecureSource), plain.host, "y", http.StatusOK},
		{"that of the source, there", strings.Replace(now.Path(plain.host, route.Source), "/source", "/insecure", 1), plain.host, "y", http.StatusNotFound},
		{"none, there", route.Key("").Path(plain.host, route.InsecureSource), plain.host, "y", http.StatusNotFound},
	} {
		w := ask(t, s, http.MethodGet, c.path+"/"+c.repository+"/manifests/"+manifestDigest+"?ns="+c.host)
		if w.Code != c.want {
			t.Errorf("%s: got %d, want %d: %s", c.name, w.Code, c.want, w.Body)
		}
	}
	keys = nil
	if w := ask(t, s, http.MethodGet, pathTo("source", "s.com", "x/app", manifestDigest)); w.Code != http.StatusForbidden {
		t.Errorf("before a first key: got %d", w.Code)
	}
}
