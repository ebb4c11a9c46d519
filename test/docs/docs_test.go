// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs keeps the documentation true and readable. It runs the commands in "console" blocks and compares what
// they print. Those in "sh" blocks take long or need a cluster, so they must be in .ci/run.
package docs

import (
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

const root = "../.."

var update = flag.Bool("update", false, "write what the commands print into the console blocks of the documents")

// documents returns the text of each Markdown file of the repository, by its path in it.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (path == "bin" || path == "dist" || path == ".git") {
			return fs.SkipDir
		}
		if err != nil || filepath.Ext(path) != ".md" || strings.Contains(path, "/testdata/") {
			return err
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		found[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var block = regexp.MustCompile("(?ms)^```(console|sh)\n(.*?)^```$")

// blocks returns the code blocks of a language in all documents, by document.
func blocks(t *testing.T, language string) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	for document, text := range documents(t) {
		for _, match := range block.FindAllStringSubmatch(text, -1) {
			if match[1] == language {
				found[document] = append(found[document], match[2])
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("no document has a block of %s", language)
	}
	return found
}

func TestCommandsPrintWhatTheDocumentsSay(t *testing.T) {
	for document, texts := range blocks(t, "console") {
		for _, text := range texts {
			for _, example := range strings.Split("\n"+text, "\n$ ")[1:] {
				command, want, _ := strings.Cut(example, "\n")
				want = strings.TrimRight(want, "\n")
				t.Run(document+": "+command, func(t *testing.T) {
					if got := run(t, command); got != want && *update {
						replace(t, document, command, want, got)
					} else if got != want {
						t.Errorf("the document says:\n%s\n\nand it prints:\n%s", want, got)
					}
				})
			}
		}
	}
}

// replace puts what a command printed in place of what a document says that it prints.
func replace(t *testing.T, document, command, old, printed string) {
	t.Helper()
	path := filepath.Join(root, document)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if old == "" {
		printed += "\n"
	}
	replaced := strings.Replace(string(text), "$ "+command+"\n"+old, "$ "+command+"\n"+printed, 1)
	if err := os.WriteFile(path, []byte(replaced), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run returns what a command prints, to standard output and standard error, without the end of the last line.
func run(t *testing.T, command string) string {
	t.Helper()
	bin, err := filepath.Abs(root + "/bin")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-c", command)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "PATH="+strings.Join([]string{bin, os.Getenv("KUBEBUILDER_ASSETS"), os.Getenv("PATH")}, ":"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimRight(string(out), "\n")
}

func TestOtherCommandsAreRunByCI(t *testing.T) {
	script, err := os.ReadFile(root + "/.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	inCI := make(map[string]bool)
	for line := range strings.Lines(string(script)) {
		inCI[strings.TrimSpace(line)] = true
	}
	for document, texts := range blocks(t, "sh") {
		for _, text := range texts {
			for command := range strings.Lines(text) {
				command = strings.TrimSpace(command)
				if !inCI[command] {
					t.Errorf("%s: CI does not run %q", document, command)
				}
			}
		}
	}
}

// Prose that is wider than a page of a diff is hard to review. Tables and code cannot be broken.
func TestNoLineOfProseIsLong(t *testing.T) {
	const most = 120
	for document, text := range documents(t) {
		inCode := false
		number := 0
		for line := range strings.Lines(text) {
			number++
			line = strings.TrimRight(line, "\n")
			bare := strings.TrimSpace(line)
			if strings.HasPrefix(bare, "```") {
				inCode = !inCode
			} else if length := utf8.RuneCountInString(line); !inCode && !strings.HasPrefix(bare, "|") && length > most {
				t.Errorf("%s:%d has %d characters; break the line after %d at most", document, number, length, most)
			}
		}
	}
}
