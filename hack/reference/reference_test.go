// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mirrorset/mirrorset/internal/plugin/command"
)

func TestHelpOfPackageFlagIsRead(t *testing.T) {
	var help bytes.Buffer
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(&help)
	flags.Bool("elect", true, "elect a leader")
	flags.Bool("v", false, "print the version")
	flags.Func("address", "`host:port` to serve;\nor 0", nil)
	flags.String("name", "a b", "name (of a node)")
	flags.Usage()
	want := []option{
		{Name: "address", Value: "host:port", Usage: "host:port to serve;\n    \tor 0"},
		{Name: "elect", Usage: "elect a leader", Default: "true"},
		{Name: "name", Value: "string", Usage: "name (of a node)", Default: "a b"},
		{Name: "v", Usage: "print the version"},
	}
	if got := options(help.String()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProseIsMarkdown(t *testing.T) {
	for text, want := range map[string]string{
		"names *.host of a_b":                  `Names \*.host of a\_b.`,
		"kubectl does that":                    "kubectl does that.",
		"with --what-if, or (-f FILE):":        "With `--what-if`, or (`-f` FILE):",
		"FILE, or - for standard input":        "FILE, or `-` for standard input.",
		"once:\n\n\tsource <(kubectl)\n\nDone": "Once:\n\n```text\nsource <(kubectl)\n```\n\nDone.",
		"#### Linux:":                          "Linux:",
		"non-zero, in-cluster":                 "Non-zero, in-cluster.",
	} {
		if got := prose(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestLinesAreBrokenBetweenWords(t *testing.T) {
	for line := range strings.Lines(wrap(strings.Repeat("`--a b` cd ", 40), "  ")) {
		if line = strings.TrimSuffix(line, "\n"); len(line) > width || strings.Count(line, "`")%2 != 0 {
			t.Errorf("the line is %q", line)
		}
	}
	if got, want := wrap("a "+strings.Repeat("b", width), "  "), "a\n  "+strings.Repeat("b", width); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// program has a verb with flags of kubectl, and a verb below it with those of the given set.
func program(below *pflag.FlagSet) *cobra.Command {
	root := &cobra.Command{Use: "program", Long: "Do things"}
	verb := &cobra.Command{Use: "verb", Short: "Do one thing", Example: "  program verb", Run: func(*cobra.Command, []string) {}}
	verb.Flags().Int("count", 3, "how often")
	verb.Flags().String("context", "", "the context")
	command.FindsCluster(verb.Flags(), "count")
	nested := &cobra.Command{Use: "nested", Short: "Do less", Long: "Do less than one thing", Run: func(*cobra.Command, []string) {}}
	nested.Flags().AddFlagSet(below)
	command.FindsCluster(nested.Flags())
	hidden := &cobra.Command{Use: "hidden", Hidden: true, Run: func(*cobra.Command, []string) {}}
	verb.AddCommand(nested)
	root.AddCommand(verb, hidden)
	return root
}

func TestVerbsAreDescribed(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.String("context", "", "the context")
	got, err := describe(program(flags))
	kubectl := []option{{Name: "context", Value: "string", Usage: "the context"}}
	want := pluginPage{About: "Do things", Kubectl: kubectl, Verbs: []verb{
		{
			Path: "program verb", Short: "Do one thing", Long: "Do one thing", Use: "program verb [flags]", Examples: "program verb",
			Flags: []option{{Name: "count", Value: "int", Usage: "how often", Default: "3"}}, Cluster: true,
		},
		{Path: "program verb nested", Short: "Do less", Long: "Do less than one thing", Use: "program verb nested [flags]", Nested: true, Cluster: true},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, error %v; want %+v", got, err, want)
	}
}

func TestVerbsWithOtherFlagsOfKubectlAreRefused(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.String("server", "", "the server")
	if _, err := describe(program(flags)); err == nil || !strings.Contains(err.Error(), "program verb nested takes other flags of kubectl") {
		t.Errorf("the error is %v", err)
	}
}
