// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/redirect/shadow"
	"github.com/mirrorset/mirrorset/internal/route"
)

func TestARequestWouldBeRefusedWhereItWouldBeIfTheSetsWereEnforced(t *testing.T) { // V5
	const sets = `a: s.com -> m.com, n.com, w.com
T a: s.com -> m.com, n.com, w.com
a: s.com/open -> m.com
a: docker.io -> m.com
a: shut.com -> w.com, m.com [Never]
a: *.wild.com -> m.com
a: self.com -> self.com
a: broad.com -> m.com, n.com
T a: broad.com -> m.com, n.com
T a: tags.com -> n.com
T a: tags.com/x/y -> w.com`
	watched := map[string]string{"s.com": "a, b", "w.com": "c", "bare.com/x": "d", "docker.io": "e", "*.wild.com": "f", "self.com": "g", "": "h", "../escape": "i", "broad.com/lost": "j", "tags.com": "k", "tags.com/x/y": "k"}
	parsed, err := mirrorstest.Parse(sets)
	if err != nil {
		t.Fatal(err)
	}
	router := route.NewRouter(kinds.Merge(parsed, nil).Rules)
	w := shadow.New(router, watched)
	for name, c := range map[string]struct {
		image, to string // the image's repository, and that of the place; "" for the source
		left      []string
		want      string
	}{
		"the source":                              {image: "s.com/x/y", want: "s.com: a, b"},
		"a source that is not watched":            {image: "t.com/x/y"},
		"a narrower source that is open":          {image: "s.com/open/y"},
		"a source without a rule":                 {image: "bare.com/x/y", want: "bare.com/x: d"},
		"one beside it":                           {image: "bare.com/z"},
		"a wildcard":                              {image: "a.wild.com/y", want: "*.wild.com: f"},
		"Docker Hub":                              {image: "docker.io/library/y", want: "docker.io: e"},
		"Docker Hub by its registry's name":       {image: "registry-1.docker.io/library/y"},
		"a mirror":                                {image: "s.com/x", to: "m.com/x"},
		"a mirror in a watched source":            {image: "s.com/x", to: "w.com/x", want: "s.com w.com: a, b, c"},
		"one with another mirror behind it":       {image: "s.com/x", to: "w.com/x", left: []string{"n.com/x"}},
		"one with another such mirror behind it":  {image: "s.com/x", to: "w.com/x", left: []string{"w.com/z"}, want: "s.com w.com: a, b, c"},
		"one of a source that stays open":         {image: "s.com/open/x", to: "w.com/x"},
		"one of a source that is blocked":         {image: "shut.com/x", to: "w.com/x", want: "w.com: c"},
		"another one of a source that is blocked": {image: "shut.com/x", to: "m.com/x"},
		"a mirror on Docker Hub":                  {image: "s.com/x", to: "registry-1.docker.io/library/x", want: "s.com docker.io: a, b, e"},
		"a mirror of a broader source that would not have its mirrors": {image: "broad.com/lost/x", to: "m.com/lost/x", left: []string{"n.com/lost/x"}, want: "broad.com/lost: j"},
		"another place of a mirror's registry":                         {image: "s.com/x", to: "m.com/else", want: "s.com: a, b"},
		"one beside that":                                              {image: "broad.com/x", to: "m.com/x"},
		"a mirror for tags":                                            {image: "tags.com/x", to: "n.com/x"}, // by digest it is a find (T10)
		"one behind a mirror that would not be asked":                  {image: "tags.com/x", to: "w.com/x", left: []string{"n.com/x"}},
		"a mirror for tags in a watched source":                        {image: "tags.com/x/y", to: "w.com", want: "tags.com/x/y w.com: k, c"},
		"the source, among its own mirrors":                            {image: "self.com/x", to: "self.com/x", want: "self.com: g"},
	} {
		host, repository, _ := strings.Cut(c.image, "/")
		target := func(name string) route.Target {
			place := mirrors.Scope(name)
			return route.Target{Host: place.Host(), Repository: strings.TrimPrefix(place.Path(), "/")}
		}
		for _, mode := range []mirrors.Mode{mirrors.ByDigest, mirrors.ByTag} {
			r := shadow.Request{Host: host, Repository: repository, Mode: mode, To: router.Route(host, repository, mode).Source}
			if c.to != "" {
				r.To = target(c.to)
			}
			for _, l := range c.left {
				r.Left = append(r.Left, target(l))
			}
			got := ""
			if sources, by := w.WouldRefuse(r); len(sources) > 0 {
				got = fmt.Sprint(strings.Trim(fmt.Sprint(sources), "[]"), ": ", by)
			}
			if got != c.want {
				t.Errorf("%s, %s: got %q, want %q", name, mode, got, c.want)
			}
		}
	}
	if sources, _ := shadow.New(router, nil).WouldRefuse(shadow.Request{Host: "s.com", Repository: "x", To: route.Target{Host: "s.com", Repository: "x"}}); sources != nil {
		t.Errorf("without sets in shadow mode: %v", sources)
	}
	if router.Blocks("s.com", "/x") {
		t.Error("the rules in force are blocked, too")
	}
}
