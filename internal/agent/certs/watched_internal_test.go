// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/route"
)

// watch applies rules for no source, and has sets in shadow mode watch some.
func watch(t *testing.T, n *host, revision int64, sources ...string) {
	t.Helper()
	n.rules = sinktest.Accepted(t, revision)
	n.rules.Shadow = make(map[string]string)
	for _, source := range sources {
		n.rules.Shadow[source] = "10-shadow"
	}
	n.Follow(n.rules)
	if err := n.repair(); err != nil {
		t.Fatal(err)
	}
}

func TestWatchedSourcesAreReachedThroughTheRedirector(t *testing.T) { // V3, V5
	n, root, _ := newHost(t, sinktest.Files{other: foreign})
	n.settings.allowDefaultHost = true
	n = withRedirector(t, n)
	watch(t, n, 0, "s.com/x", "*.wild.com", "../../escape", "")
	got := sinktest.Tree(t, root)
	for registry, behind := range map[string]string{"s.com": "server = \"https://s.com\"", route.AnyHost: ""} {
		content := got[dir+"/"+registry+"/hosts.toml"]
		if entry := n.keys.open()[0].Path(registry, route.Source); !strings.Contains(content, entry) || !strings.Contains(content, behind) {
			t.Errorf("%s: got %q", registry, content)
		}
	}
	if ours, err := n.Owned(); len(ours) != 2 || err != nil {
		t.Errorf("our files are %q, error %v", ours, err)
	}
	watch(t, n, 1)
	sinktest.WantTree(t, filepath.Join(root, dir), sinktest.Files{"other.com/hosts.toml": foreign})
}

func TestAWatchedSourceThatCannotBeSeenIsReported(t *testing.T) {
	n, _, _ := newHost(t, sinktest.Files{other: foreign})
	n = withRedirector(t, n)
	if watch(t, n, 0, "other.com/x"); !slices.Equal(n.notInForce(), []string{"other.com/x"}) || n.Findings[0].Reason != ForeignFolder {
		t.Errorf("findings %+v", n.Findings)
	}
}

func TestWithoutARedirectorNothingIsWatched(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{other: foreign})
	watch(t, n, 0, "s.com/x", "*.wild.com")
	sinktest.WantTree(t, filepath.Join(root, dir), sinktest.Files{"other.com/hosts.toml": foreign})
	if len(n.Findings) > 0 {
		t.Errorf("findings %+v", n.Findings)
	}
}

func TestAWatchedWildcardCountsWhereItWouldBeInForce(t *testing.T) { // V5
	for allowed, want := range map[bool]string{true: "[{*.wild.com 2 [a.wild.com/y:1 b.wild.com/y:1]}]", false: "[{*.wild.com 1 [b.wild.com/y:1]}]"} {
		n, root, _ := newHost(t, sinktest.Files{other: foreign})
		n.settings.allowDefaultHost = allowed
		n = withRedirector(t, n)
		n.rules = sinktest.Accepted(t, 0, "*.wild.com", "b.wild.com/x")
		n.rules.Shadow = map[string]string{"*.wild.com": "10-shadow"}
		n.Follow(n.rules)
		if err := n.repair(); err != nil {
			t.Fatal(err)
		}
		for registry, file := range map[string]string{"a.wild.com": route.AnyHost, "b.wild.com": "b.wild.com"} {
			entry := n.keys.open()[0].Path(file, route.Source)
			if content := sinktest.Tree(t, root)[dir+"/"+file+"/hosts.toml"]; !strings.Contains(content, entry) {
				t.Errorf("allowed %t: %s has %q", allowed, file, content)
			}
			if got := sinktest.Ask(t, "http://"+n.server.Address()+entry, registry, "y"); got != http.StatusTemporaryRedirect {
				t.Errorf("allowed %t: %s: got %d", allowed, registry, got)
			}
		}
		if got := fmt.Sprint(n.Observed(time.Now()).WouldRefuse); got != want {
			t.Errorf("allowed %t: got %s, want %s", allowed, got, want)
		}
	}
}
