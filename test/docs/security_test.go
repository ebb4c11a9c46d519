// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var shownBy = regexp.MustCompile("^\\| [^|]+ \\| `([^`]+_test[.]go)`: `([^`|]+)` \\|$")

// Each line of the threat model's tables names a test, and that test is there, by the name that it has in its file.
func TestWhatTheThreatModelSaysIsShownByTests(t *testing.T) {
	document, err := os.ReadFile(root + "/docs/explanation/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, model, _ := strings.Cut(string(document), "\n## What each can and cannot do\n")
	model, _, _ = strings.Cut(model, "\n## ")
	places := strings.Split(model, "\n### ")[1:]
	if len(places) < 11 {
		t.Errorf("the threat model has %d places; it had more", len(places))
	}
	for _, place := range places {
		name, text, _ := strings.Cut(place, "\n")
		claims := 0
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "|") || line == "| | shown by |" || line == "|---|---|" {
				continue
			}
			claims++
			if problem := unshown(line); problem != "" {
				t.Errorf("%s: %s\n%s", name, problem, line)
			}
		}
		if claims == 0 {
			t.Errorf("%s: there is no line that a test shows", name)
		}
	}
}

// unshown says why no test shows a line.
func unshown(line string) string {
	match := shownBy.FindStringSubmatch(line)
	if match == nil {
		return "it names no test, as `file_test.go`: `name`"
	}
	source, err := os.ReadFile(filepath.Join(root, match[1]))
	if err != nil {
		return err.Error()
	}
	if !strings.Contains(string(source), `("`+match[2]+`"`) && !strings.Contains(string(source), "\nfunc "+match[2]+"(t *testing.T)") {
		return "the file has no such test"
	}
	return ""
}

func TestALineThatNoTestShowsIsFound(t *testing.T) {
	for line, want := range map[string]string{
		"| Cannot | `test/docs/security_test.go`: `TestALineThatNoTestShowsIsFound` |": "",
		"| Cannot | `test/docs/security_test.go`: `TestALineThatNoTestShows` |":        "the file has no such test",
		"| Cannot | `test/docs/security_test.go`: TestALineThatNoTestShowsIsFound |":   "it names no test, as `file_test.go`: `name`",
		"| Cannot | by nothing |": "it names no test, as `file_test.go`: `name`",
		"| Cannot | `test/e2e/rights_test.go`: `the agent reads no Nodes` |":             "",
		"| Cannot | `test/e2e/rights_test.go`: `the agent reads` |":                      "the file has no such test",
		"| Cannot | `test/docs/gone_test.go`: `TestALineThatNoTestShowsIsFound` |":       "open ../../test/docs/gone_test.go: no such file or directory",
		"| Cannot | `test/docs/security_test.go`: `TestALineThatNoTestShowsIsFound` | |": "it names no test, as `file_test.go`: `name`",
	} {
		if got := unshown(line); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}
