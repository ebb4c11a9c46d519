// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// wall is a rule of depguard.
type wall struct {
	Mode  string   `json:"list-mode"`
	Files []string `json:"files"`
	Allow []string `json:"allow"`
}

var (
	row   = regexp.MustCompile("(?m)^\\| `(internal/[^`]+)` \\|[^|]*\\| ([^|]*)\\|$")
	named = regexp.MustCompile("`([^`]+)`")
)

// What docs/explanation/architecture.md says a room may import of this project is what the linter lets it import.
func TestTheTableOfRoomsIsThatOfTheLinter(t *testing.T) {
	document, err := os.ReadFile(root + "/docs/explanation/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	rooms := map[string]map[string]bool{}
	for _, found := range row.FindAllStringSubmatch(string(document), -1) {
		rooms[found[1]] = map[string]bool{}
		for _, name := range named.FindAllStringSubmatch(found[2], -1) {
			rooms[found[1]][name[1]] = true
		}
	}
	allowed := map[string]map[string]bool{}
	for name, w := range walls(t) {
		if w.Mode != "strict" || !strings.HasPrefix(w.Files[0], "**/internal/") {
			continue
		}
		room := roomOf(rooms, strings.TrimPrefix(strings.TrimSuffix(w.Files[0], "/*.go"), "**/"))
		if room == "" {
			t.Errorf("docs/explanation/architecture.md has no row for the files of depguard's rule %s: %s", name, w.Files[0])
			continue
		}
		if allowed[room] == nil {
			allowed[room] = map[string]bool{}
		}
		for _, path := range w.Allow {
			path, ours := strings.CutPrefix(strings.TrimSuffix(path, "$"), "github.com/mirrorset/mirrorset/")
			if ours && roomOf(rooms, path) != room {
				allowed[room][strings.TrimPrefix(path, "internal/")] = true
			}
		}
	}
	for _, room := range slices.Sorted(maps.Keys(rooms)) {
		if allowed[room] == nil {
			t.Errorf("depguard has no rule for %s", room)
		}
		if !maps.Equal(rooms[room], allowed[room]) {
			t.Errorf("%s may import, says docs/explanation/architecture.md, %q, and says .golangci.yml, %q", room, slices.Sorted(maps.Keys(rooms[room])), slices.Sorted(maps.Keys(allowed[room])))
		}
	}
	if len(rooms) < 10 {
		t.Errorf("the table has %d rooms", len(rooms))
	}
}

// roomOf returns the room with a row that a folder is, or lies in.
func roomOf(rooms map[string]map[string]bool, folder string) string {
	for folder != "" && rooms[folder] == nil {
		folder = folder[:max(0, strings.LastIndex(folder, "/"))]
	}
	return folder
}

func walls(t *testing.T) map[string]wall {
	t.Helper()
	text, err := os.ReadFile(root + "/.golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]wall `json:"rules"`
				} `json:"depguard"`
			} `json:"settings"`
		} `json:"linters"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	return config.Linters.Settings.Depguard.Rules
}
