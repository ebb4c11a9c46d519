// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mirrorset/mirrorset/internal/plugin/command"
)

// pluginPage is what the page about the plugin shows.
type pluginPage struct {
	About string
	Verbs []verb
	// Kubectl are the flags that find a cluster. All verbs with such flags share them.
	Kubectl []option
}

// verb is one command of the plugin.
type verb struct {
	Path, Short, Long, Use, Examples string
	// Nested marks a verb below another one.
	Nested bool
	Flags  []option
	// Cluster marks a verb that takes the flags that find a cluster.
	Cluster bool
}

// Anchor is the name that the heading of the verb has in links.
func (v verb) Anchor() string {
	return strings.ReplaceAll(v.Path, " ", "-")
}

// describe returns the page about a program.
func describe(root *cobra.Command) (pluginPage, error) {
	page := pluginPage{About: root.Long}
	for _, cmd := range below(root) {
		v := verb{
			Path: cmd.CommandPath(), Short: cmd.Short, Long: cmp.Or(cmd.Long, cmd.Short), Use: cmd.UseLine(),
			Examples: dedent(cmd.Example), Nested: cmd.Parent() != root,
		}
		var kubectl []option
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			switch {
			case f.Hidden:
			case command.IsOfKubectl(f):
				kubectl = append(kubectl, optionOf(f))
			default:
				v.Flags = append(v.Flags, optionOf(f))
			}
		})
		v.Cluster = len(kubectl) > 0
		if v.Cluster && len(page.Kubectl) > 0 && !slices.Equal(kubectl, page.Kubectl) {
			return page, fmt.Errorf("%s takes other flags of kubectl than the verbs before it, so the page cannot list them once", v.Path)
		}
		if v.Cluster {
			page.Kubectl = kubectl
		}
		page.Verbs = append(page.Verbs, v)
	}
	return page, nil
}

// below returns all commands below a command, each before its own.
func below(parent *cobra.Command) []*cobra.Command {
	var found []*cobra.Command
	for _, cmd := range parent.Commands() {
		if !cmd.Hidden {
			found = append(append(found, cmd), below(cmd)...)
		}
	}
	return found
}

// zeros are the defaults that say nothing.
var zeros = []string{"", "0", "0s", "false", "[]", "<nil>"}

func optionOf(f *pflag.Flag) option {
	value, usage := pflag.UnquoteUsage(f)
	if value == "strings" || value == "stringArray" {
		value = "string" // the usage mentions that the flag may be repeated
	}
	o := option{Short: f.Shorthand, Name: f.Name, Value: value, Usage: usage}
	if !slices.Contains(zeros, f.DefValue) {
		o.Default = f.DefValue
	}
	return o
}
