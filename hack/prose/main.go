// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command prose runs Vale on every text of the repository that a person reads: the documents, the comments, the strings
// in programs, and the descriptions in YAML. The rules are in hack/vale/styles.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	root := flag.String("root", ".", "folder of the repository")
	vale := flag.String("vale", "bin/vale", "Vale's program")
	flag.Parse()
	count, err := lint(*root, *vale, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(2)
	}
	if count > 0 {
		fmt.Fprintf(os.Stderr, "prose: %d problems; CONTRIBUTING.md explains the rules\n", count)
		os.Exit(1)
	}
}

// alert is what Vale reports about a place in a file.
type alert struct {
	Check, Message string
	Line           int
}

// lint prints the alerts about all files below a folder, and returns their number.
func lint(root, vale string, out io.Writer) (int, error) {
	copies, err := os.MkdirTemp("", "prose")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(copies) }()
	pages, err := extract(root, copies)
	if err != nil {
		return 0, err
	}
	alerts, err := run(root, vale, slices.Sorted(maps.Keys(pages)))
	if err != nil {
		return 0, err
	}
	var lines []string
	for file, found := range alerts {
		page := pages[file]
		for _, a := range found {
			lines = append(lines, fmt.Sprintf("%s:%d: %s (%s)\n", page.source, page.line(a.Line), a.Message, strings.TrimPrefix(a.Check, "Mirrorset.")))
		}
	}
	slices.Sort(lines)
	_, err = io.WriteString(out, strings.Join(lines, ""))
	return len(lines), err
}

// run has Vale read files, and returns its alerts by file.
func run(root, vale string, files []string) (map[string][]alert, error) {
	arguments := append([]string{"--output=JSON", "--config=" + filepath.Join(root, ".vale.ini")}, files...)
	command := exec.Command(vale, arguments...)
	var printed, complaint bytes.Buffer
	command.Stdout, command.Stderr = &printed, &complaint
	// Vale exits with 1 if it has found something, and with 2 if it could not look.
	var ended *exec.ExitError
	if err := command.Run(); err != nil && (!errors.As(err, &ended) || ended.ExitCode() != 1) {
		return nil, fmt.Errorf("%s: %w\n%s%s", vale, err, &printed, &complaint)
	}
	var alerts map[string][]alert
	if err := json.Unmarshal(printed.Bytes(), &alerts); err != nil {
		return nil, fmt.Errorf("%s printed %q: %w", vale, printed.String(), err)
	}
	return alerts, nil
}

// page is a Markdown file that Vale reads.
type page struct {
	// source is the file of the repository that the text is from.
	source string
	// lines has the line in source for each line of the page. A document is its own page and has none.
	lines []int
}

func (p page) line(n int) int {
	if p.lines == nil {
		return n
	}
	return p.lines[n-1]
}

// skipped are folders without texts of ours, because other commands generate their files, and the folder of the rules.
var skipped = []string{".git", "bin", "dist", "bundle", "catalog", "api/applyconfiguration", "config/crd/bases", "charts/mirrorset/files", "hack/vale"}

// skip reports whether a folder has no texts to check. Of the tests, only the demo prints for users.
func skip(folder string) bool {
	test := path.Dir(folder) == "test" && folder != "test/demo"
	return test || slices.Contains(skipped, folder) || path.Base(folder) == "testdata"
}

// extract returns the pages of a repository by their paths. Texts that are in no Markdown file are copied to a folder.
func extract(root, copies string) (map[string]page, error) {
	pages := map[string]page{}
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && skip(name):
			return fs.SkipDir
		case entry.IsDir():
			return nil
		case path.Ext(name) == ".md":
			pages[filepath.Join(root, name)] = page{source: name}
			return nil
		}
		find := finder(name)
		if find == nil {
			return nil
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		texts, err := find(name, content)
		if err != nil || len(texts) == 0 {
			return err
		}
		copied := filepath.Join(copies, strings.ReplaceAll(name, "/", "_")+".md")
		markdown, lines := write(texts)
		pages[copied] = page{name, lines}
		return os.WriteFile(copied, []byte(markdown), 0o600)
	})
	return pages, err
}

// finder returns the function that finds the texts in a file, or nil if the file has none.
func finder(name string) func(name string, content []byte) ([]text, error) {
	switch {
	case strings.HasSuffix(name, "_test.go"):
		return nil
	case path.Ext(name) == ".go":
		return goTexts
	case slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name)):
		return yamlTexts
	case slices.Contains([]string{"Makefile", "Dockerfile", "run"}, path.Base(name)):
		return hashTexts
	case path.Base(name) == "NOTES.txt": // what Helm prints
		return templateTexts
	}
	return nil
}
