// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package onhost_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
)

func TestWhatAKilledProcessTriedIsRemoved(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for name, age := range map[string]time.Duration{"mirrorset-preflight-1": time.Hour, "mirrorset-preflight-2": 0, "theirs": time.Hour} {
		sinktest.Write(t, temporary, name+"/registries.conf", "x")
		then := time.Now().Add(-age)
		if err := os.Chtimes(filepath.Join(temporary, name), then, then); err != nil {
			t.Fatal(err)
		}
	}
	host, _ := sinktest.NewHost(t, nil)
	accepted := sinktest.Accepted(t, 1, "example.com")
	if _, err := onhost.Preflight(host, accepted.Rules, accepted.Text); err != nil {
		t.Fatal(err)
	}
	left := slices.Sorted(maps.Keys(sinktest.Tree(t, temporary)))
	if want := []string{"mirrorset-preflight-2/registries.conf", "theirs/registries.conf"}; !slices.Equal(left, want) {
		t.Errorf("left are %q, want %q", left, want)
	}
}
