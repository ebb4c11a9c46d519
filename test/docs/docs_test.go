// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs keeps the commands in the documentation true. It runs those in "console" blocks and compares what they
// print; those in "sh" blocks, which take long or need a cluster, have to stand in .ci/run.
package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

var block = regexp.MustCompile("(?ms)^```(console|sh)\n(.*?)^```$")

// blocks returns the code blocks of a language in all documents, by document.
func blocks(t *testing.T, language string) map[string][]string {
	t.Helper()
	documents, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]string)
	for _, document := range append(documents, root+"/README.md", root+"/CONTRIBUTING.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range block.FindAllStringSubmatch(string(text), -1) {
			if match[1] == language {
				found[filepath.Base(document)] = append(found[filepath.Base(document)], match[2])
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
				t.Run(document+": "+command, func(t *testing.T) {
					if got := run(t, command); got != strings.TrimSuffix(want, "\n") {
						t.Errorf("the document says:\n%s\n\nand it prints:\n%s", want, got)
					}
				})
			}
		}
	}
}

// run returns what a command prints, to standard output and standard error, without the last line's end.
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
	return strings.TrimSuffix(string(out), "\n")
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
