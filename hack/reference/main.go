// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command reference writes the reference pages about verbs and flags: kubectl-mirrors.md from the plugin's commands, and
// flags.md from the help texts of the manager and the agent.
package main

import (
	"bytes"
	"embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/mirrorset/mirrorset/internal/plugin"
)

//go:embed *.tmpl
var pages embed.FS

func main() {
	out := flag.String("out", "docs/reference", "directory to write the pages to")
	flag.Parse()
	if err := write(*out); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func write(out string) error {
	programs, err := programs("manager", "agent", "agent pulls")
	if err != nil {
		return err
	}
	if err := render(filepath.Join(out, "flags.md"), "flags.md.tmpl", programs); err != nil {
		return err
	}
	// The defaults of some flags contain the home directory of the user.
	if err := os.Setenv("HOME", "$HOME"); err != nil {
		return err
	}
	kubectlMirrors := plugin.NewCommand()
	kubectlMirrors.InitDefaultHelpCmd()
	page, err := describe(kubectlMirrors)
	if err != nil {
		return err
	}
	return render(filepath.Join(out, "kubectl-mirrors.md"), "kubectl-mirrors.md.tmpl", page)
}

// programs builds the programs of the given command lines and returns their flags.
func programs(commands ...string) (map[string][]option, error) {
	bin, err := os.MkdirTemp("", "reference-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	if text, err := exec.Command("go", "build", "-o", bin, "./cmd/manager", "./cmd/agent").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, text)
	}
	flags := map[string][]option{}
	for _, command := range commands {
		words := strings.Fields(command + " --help")
		help := exec.Command(filepath.Join(bin, words[0]), words[1:]...)
		help.Env = []string{} // some defaults come from the environment
		text, err := help.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%s --help: %w\n%s", command, err, text)
		}
		if flags[command] = options(string(text)); len(flags[command]) == 0 {
			return nil, fmt.Errorf("%s --help lists no flags:\n%s", command, text)
		}
	}
	return flags, nil
}

// render writes a page from its template.
func render(path, name string, data any) error {
	page, err := template.New(name).Funcs(template.FuncMap{"prose": prose, "item": item}).ParseFS(pages, name)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := page.Execute(&text, data); err != nil {
		return err
	}
	return os.WriteFile(path, text.Bytes(), 0o644)
}
