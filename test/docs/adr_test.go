// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// record is how a decision begins: its number and title, its date and its status.
	record = regexp.MustCompile(`^# (\d+)\. (.+)\n\nDate: (\d{4}-\d{2}-\d{2}) · Status: (.+)\n\n`)

	// status is accepted, or names the decision that came later.
	status = regexp.MustCompile(`^(?:accepted|superseded by \[ADR \d+\]\(\d{4}-[a-z0-9-]+\.md\)|accepted; \[ADR \d+\]\(\d{4}-[a-z0-9-]+\.md\) .+)$`)
)

// Each decision has a date and a status, and the index lists all of them in order.
func TestDecisionsHaveADateAndAStatusAndAreInTheIndex(t *testing.T) {
	files, err := filepath.Glob(root + "/docs/adr/[0-9]*.md")
	if err != nil || len(files) < 37 {
		t.Fatalf("found %d decisions: %v", len(files), err)
	}
	var want []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		row, err := indexed(filepath.Base(file), string(text))
		if err != nil {
			t.Error(err)
		}
		want = append(want, row)
	}
	index, err := os.ReadFile(root + "/docs/adr/README.md")
	if err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`(?m)^\| \[.*\|$`).FindAllString(string(index), -1)
	if !slices.Equal(got, want) {
		t.Errorf("the rows of docs/adr/README.md must be:\n%s\nand are:\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

// indexed returns the row of the index for a decision.
func indexed(file, text string) (string, error) {
	parts := record.FindStringSubmatch(text)
	switch {
	case parts == nil:
		return "", fmt.Errorf("%s must begin with: # NUMBER. TITLE, an empty line, and Date: YYYY-MM-DD · Status: accepted", file)
	case fmt.Sprintf("%04s", parts[1]) != file[:4]:
		return "", fmt.Errorf("%s has the number %s", file, parts[1])
	case !status.MatchString(parts[4]):
		return "", fmt.Errorf("%s has the status %q; write accepted, superseded by a link to the ADR, or accepted; and a link to the ADR that changes it", file, parts[4])
	}
	return fmt.Sprintf("| [%s](%s) | %s | %s | %s |", parts[1], file, parts[2], parts[3], parts[4]), nil
}

func TestADecisionWithoutADateOrAStatusIsFound(t *testing.T) {
	const file = "0009-a-name.md"
	for text, want := range map[string]string{
		"# 9. A title\n\nDate: 2026-11-23 · Status: accepted\n\nText.\n":                                 "| [9](0009-a-name.md) | A title | 2026-11-23 | accepted |",
		"# 9. A title\n\nDate: 2026-11-23 · Status: superseded by [ADR 10](0010-b.md)\n\nText.\n":        "| [9](0009-a-name.md) | A title | 2026-11-23 | superseded by [ADR 10](0010-b.md) |",
		"# 9. A title\n\nDate: 2026-11-23 · Status: accepted; [ADR 10](0010-b.md) extends it\n\nText.\n": "| [9](0009-a-name.md) | A title | 2026-11-23 | accepted; [ADR 10](0010-b.md) extends it |",
		"# 9. A title\n\nText.\n":                                          "",
		"# 9. A title\n\nDate: 2026-11 · Status: accepted\n\nText.\n":      "",
		"# 9. A title\n\nDate: 2026-11-23\n\nText.\n":                      "",
		"# 9. A title\n\nDate: 2026-11-23 · Status: superseded\n\nText.\n": "",
		"# 9. A title\n\nDate: 2026-11-23 · Status: proposed\n\nText.\n":   "",
		"# 10. A title\n\nDate: 2026-11-23 · Status: accepted\n\nText.\n":  "",
	} {
		got, err := indexed(file, text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q and %v, want %q", text, got, err, want)
		}
	}
}
