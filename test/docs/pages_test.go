// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// specsOf are the suites that run the commands of pages on real parts.
var specsOf = []string{"test/e2e", "test/gitops", "test/olm", "test/integration"}

// Readers type what is in a page's blocks of bash. Each page that has some is read by a spec, which runs them.
func TestEachPageOfCommandsIsRunByASpec(t *testing.T) {
	specs := sources(t, specsOf)
	pages := 0
	for document, text := range documents(t) {
		if folder := path.Dir(document); (folder != "docs/tutorial" && folder != "docs/how-to") || !strings.Contains(text, "```bash\n") {
			continue
		}
		pages++
		if !isRead(specs, document) {
			t.Errorf("%s has commands in blocks of bash, and no spec in %q reads it; write a spec, or move commands that no test can run into a block of shell", document, specsOf)
		}
	}
	if pages < 8 {
		t.Errorf("found only %d pages", pages)
	}
}

// sources returns the text of the tests in some folders.
func sources(t *testing.T, folders []string) (all []string) {
	t.Helper()
	for _, folder := range folders {
		before := len(all)
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			all = append(all, string(text))
			return err
		})
		if err != nil || len(all) == before {
			t.Fatalf("%s has no test: %v", folder, err)
		}
	}
	return all
}

// isRead reports if a test reads a document: by its path in the repository, or as howTo of test/e2e does.
func isRead(tests []string, document string) bool {
	reads := regexp.MustCompile(`(document|ReadFile|Join)\([^()\n]*"[./]*` + regexp.QuoteMeta(document) + `"\)|howTo\("` + regexp.QuoteMeta(strings.TrimPrefix(document, "docs/how-to/")) + `"\)`)
	return slices.ContainsFunc(tests, reads.MatchString)
}

func TestAPageThatNoSpecReadsIsFound(t *testing.T) {
	const page = "docs/how-to/page.md"
	for text, want := range map[string]bool{
		`os.ReadFile("../../docs/how-to/page.md")`:                true,
		`os.ReadFile(filepath.Join(root, "docs/how-to/page.md"))`: true,
		`howTo("page.md")`:                                      true,
		`os.ReadFile(root + "/docs/how-to/page.md")`:            true,
		`document("docs/how-to/page.md")`:                       true,
		`howTo("other-page.md")`:                                false,
		`Describe("docs/how-to/page.md")`:                       false,
		`// docs/how-to/page.md is read elsewhere`:              false,
		`It("follows docs/how-to/page.md to its end", func() {`: false,
	} {
		if got := isRead([]string{text}, page); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
}
