// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package why is the verb that shows why the containers of a Pod wait for their images, and what to do.
package why

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// options are those of one run.
type options struct {
	cluster cluster.Flags
	format  output.Format
}

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{cluster: cluster.NewFlagsForPods()}
	cmd := &cobra.Command{
		Use:   "why POD",
		Short: "Show why the containers of a Pod wait for their images, and what to do",
		Long: `Show why the containers of a Pod wait for their images, and what to do. why reads the Pod and its events,
the sets, the report of the Pod's node, and the pulls that the node's agent saw. If you do not have the
right to read one of these, why prints a note and judges the rest without it. It contacts no registry.

Exit codes:
- 0: no image pull failed
- 1: an image pull failed, whatever the cause
- 2: an error`,
		Example: "  kubectl mirrors why app-7d4b9c6f5-x2x7q\n" +
			"  kubectl mirrors why -n team app-0 -o json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name exactly one Pod; there are %d arguments", len(args))
			}
			return nil
		},
		Annotations:       map[string]string{command.ErrorCode: "2"},
		ValidArgsFunction: o.complete,
		RunE:              o.run,
	}
	o.cluster.Add(cmd)
	o.format.AddFlag(cmd, "text", "json", "yaml")
	return cmd
}

func (o *options) run(cmd *cobra.Command, args []string) error {
	if err := o.format.Check(); err != nil {
		return err
	}
	namespace, err := o.cluster.PodNamespace()
	if err != nil {
		return err
	}
	c, err := o.cluster.Connect()
	if err != nil {
		return err
	}
	found, err := look(cmd.Context(), c, namespace, args[0])
	if err != nil {
		return err
	}
	if o.format.Name == "text" {
		err = found.print(cmd.OutOrStdout(), cmd.ErrOrStderr())
	} else {
		err = output.Value(cmd.OutOrStdout(), o.format.Name, found)
	}
	if err == nil && found.Waits {
		return command.Verdict(1)
	}
	return err
}

// look reads what there is to know of a Pod, and judges it.
func look(ctx context.Context, c *cluster.Cluster, namespace, name string) (*report, error) {
	pod, err := c.Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("there is no Pod %q in namespace %s; another Pod may have replaced it: kubectl -n %[2]s get pods", name, namespace)
	case err != nil:
		return nil, err
	}
	r := newReader(c, pod)
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	return r.report(), nil
}

// complete offers the Pods of the namespace.
func (o *options) complete(cmd *cobra.Command, given []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := o.cluster.Connect()
	namespace, nameErr := o.cluster.PodNamespace()
	if err := errors.Join(err, nameErr); err != nil {
		return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
	}
	pods, err := c.Pods(namespace).List(cmd.Context(), metav1.ListOptions{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
	}
	for i := range pods.Items {
		names = append(names, pods.Items[i].Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
