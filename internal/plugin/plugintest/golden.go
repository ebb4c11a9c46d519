// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugintest

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
)

var update = flag.Bool("update", false, "write the golden files from what the program prints")

// Golden runs the cases of a folder. NAME.cmd has the arguments of one run a line, and NAME.out what the runs print and leave
// behind; NAME.txt in place of it has what a run prints that succeeds. In the arguments {cluster} is an API server that answers
// what cluster.yaml holds, and {dir} a folder of the test's.
func Golden(t *testing.T, folder string, program func() *cobra.Command) {
	t.Helper()
	commands, err := filepath.Glob(folder + "/*.cmd")
	if err != nil || len(commands) == 0 {
		t.Fatal(commands, err)
	}
	unused := make(map[string]bool)
	for _, kind := range []string{"out", "txt"} {
		outputs, err := filepath.Glob(folder + "/*." + kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, output := range outputs {
			unused[output] = true
		}
	}
	for _, file := range commands {
		name := strings.TrimSuffix(file, ".cmd")
		output := name + ".out"
		if unused[name+".txt"] {
			output = name + ".txt"
		}
		delete(unused, output)
		t.Run(filepath.Base(name), func(t *testing.T) {
			compare(t, output, runCase(t, file, program, output == name+".txt"))
		})
	}
	for output := range unused {
		t.Errorf("%s has no command", output)
	}
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		WriteFile(t, path, got, 0o644)
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

func runCase(t *testing.T, file string, program func() *cobra.Command, succeeds bool) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	places := strings.NewReplacer("{dir}", dir, "{cluster}", "--server="+serveFile(t, filepath.Dir(file)+"/cluster.yaml"))
	var got bytes.Buffer
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		r := Run(t, program(), "", strings.Fields(places.Replace(line))...)
		fmt.Fprintf(&got, "$ kubectl mirrors %s\n--- stdout\n%s--- stderr\n%s", line, r.Stdout, r.Stderr)
		if !succeeds {
			fmt.Fprintf(&got, "--- exit code %d\n", r.Code)
		} else if r.Code != 0 {
			t.Errorf("exit code %d", r.Code)
		}
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

func serveFile(t *testing.T, name string) (url string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var objects map[string]any
	if err := yaml.UnmarshalStrict(text, &objects); err != nil {
		t.Fatal(err)
	}
	return Serve(t, objects)
}
