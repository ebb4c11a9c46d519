// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/mirrorset/mirrorset/internal/plugin/command"
)

// addCompletions has the shell offer what the kubeconfig and the cluster have, and files only where a flag wants one.
func (f Flags) addCompletions(cmd *cobra.Command) {
	ofConfig := func(names func(clientcmdapi.Config) []string) func(context.Context) ([]string, error) {
		return func(context.Context) ([]string, error) {
			config, err := f.load().RawConfig()
			return names(config), err
		}
	}
	offers := map[string]func(context.Context) ([]string, error){
		"context":   ofConfig(func(c clientcmdapi.Config) []string { return slices.Sorted(maps.Keys(c.Contexts)) }),
		"cluster":   ofConfig(func(c clientcmdapi.Config) []string { return slices.Sorted(maps.Keys(c.Clusters)) }),
		"user":      ofConfig(func(c clientcmdapi.Config) []string { return slices.Sorted(maps.Keys(c.AuthInfos)) }),
		"namespace": f.namespaces,
	}
	if f.isForPods() {
		offers[installedFlag] = f.namespaces
	}
	for flag, offered := range offers {
		complete := func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			names, err := offered(cmd.Context())
			if err != nil {
				return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		}
		if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // the flag exists
		}
	}
	for _, flag := range []string{"as", "as-group", "as-uid", "as-user-extra", "request-timeout", "server", "tls-server-name", "token"} {
		command.CompleteWith(cmd, flag)
	}
}

// namespaces returns the names of all.
func (f Flags) namespaces(ctx context.Context) ([]string, error) {
	c, err := f.Connect()
	if err != nil {
		return nil, err
	}
	list, err := c.Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, nil
}

// CompleteNodes completes the names of nodes.
func (f Flags) CompleteNodes(cmd *cobra.Command, given []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := f.Connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
	}
	nodes, err := c.Nodes(cmd.Context())
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
