// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/plugin/command"
)

// cases are pairs of files: NAME.cmd has the arguments of one run a line, and NAME.out what the runs print and leave behind.
// In the arguments {cluster} is an API server that answers what cluster.yaml holds, and {dir} a folder of the test's.
const cases = "testdata/cases"

func TestRunsPrintWhatTheirFilesHold(t *testing.T) {
	commands, err := filepath.Glob(cases + "/*.cmd")
	if err != nil || len(commands) == 0 {
		t.Fatal(commands, err)
	}
	outputs, err := filepath.Glob(cases + "/*.out")
	if err != nil {
		t.Fatal(err)
	}
	unused := make(map[string]bool, len(outputs))
	for _, output := range outputs {
		unused[output] = true
	}
	for _, command := range commands {
		output := strings.TrimSuffix(command, ".cmd") + ".out"
		delete(unused, output)
		t.Run(strings.TrimSuffix(filepath.Base(command), ".cmd"), func(t *testing.T) {
			compare(t, output, runCase(t, command))
		})
	}
	for output := range unused {
		t.Errorf("%s has no command", output)
	}
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant (%s; go test ./internal/plugin -update writes it):\n%s", got, path, want)
	}
}

func runCase(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	places := strings.NewReplacer("{dir}", dir, "{cluster}", "--server="+serveCase(t))
	var got bytes.Buffer
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		fmt.Fprintf(&got, "$ kubectl mirrors %s\n", line)
		cmd := NewCommand()
		cmd.SetArgs(strings.Fields(places.Replace(line)))
		var stdout, stderr bytes.Buffer
		cmd.SetOut(&stdout)
		cmd.SetErr(&stderr)
		code := run(cmd)
		fmt.Fprintf(&got, "--- stdout\n%s--- stderr\n%s--- exit code %d\n", stdout.String(), stderr.String(), code)
	}
	list(t, &got, dir)
	return strings.ReplaceAll(got.String(), dir, "{dir}")
}

// list prints all files in a folder.
func list(t *testing.T, got *bytes.Buffer, dir string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		fmt.Fprintf(got, "--- file %s\n%s", path, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func serveCase(t *testing.T) (url string) {
	t.Helper()
	text, err := os.ReadFile(cases + "/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var objects map[string]any
	if err := yaml.UnmarshalStrict(text, &objects); err != nil {
		t.Fatal(err)
	}
	return serve(t, objects)
}

func run(cmd *cobra.Command) int { return command.Run(cmd) }
