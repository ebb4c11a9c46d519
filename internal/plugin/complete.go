// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"slices"

	"github.com/spf13/cobra"
)

// completeNodes completes the names of nodes.
func (f clusterFlags) completeNodes(cmd *cobra.Command, given []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := f.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
	}
	nodes, err := c.nodes(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]cobra.Completion, 0, len(nodes))
	for i := range nodes {
		if !slices.Contains(given, nodes[i].Name) {
			names = append(names, nodes[i].Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
