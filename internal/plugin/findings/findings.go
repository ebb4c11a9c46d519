// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package findings is the verb that explains a reason, in the words of docs/reference/findings.md.
package findings

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/docs"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// Command returns the verb.
func Command() *cobra.Command {
	return &cobra.Command{
		Use:   "explain-finding REASON",
		Short: "Explain the reason of a warning or finding, and what to do",
		Long: `Explain the reason of a warning, of a finding in the status of a set, or of a problem on a node, and what
to do about it. Upper and lower case make no difference. It needs no cluster.`,
		Example: "  kubectl mirrors explain-finding BlocksTagPulls",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name exactly one reason; there are %d arguments. The reasons are %s", len(args), strings.Join(reasons(), ", "))
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return reasons(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, s := range sections() {
				if strings.EqualFold(s.reason, args[0]) {
					fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n%s\n\n%s\n", s.reason, s.text, output.DocsOf(s.reason))
					return nil
				}
			}
			return fmt.Errorf("there is no reason %q; the reasons are %s", args[0], strings.Join(reasons(), ", "))
		},
	}
}

type section struct{ reason, text string }

// sections are those of the document, in its order.
func sections() (all []section) {
	for _, text := range strings.Split(docs.Findings, "\n## ")[1:] {
		reason, text, _ := strings.Cut(text, "\n")
		all = append(all, section{reason, strings.TrimSpace(text)})
	}
	return all
}

func reasons() (all []string) {
	for _, s := range sections() {
		all = append(all, s.reason)
	}
	return all
}
