// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
)

// The values of --only.
const (
	onlyPause = "pause"
	onlyUndo  = "undo"
	onlyHalt  = "halt"
)

// publishes is what a manager does once nothing stands in its way. The plugin does not know the manager's canary selector.
const publishes = "the manager publishes the sets as they are: to canaries first if it has a canary selector, otherwise to all nodes immediately"

// resumeOptions are those of one run.
type resumeOptions struct {
	cluster cluster.Flags
	only    string
	all     bool
}

func resumeCommand() *cobra.Command {
	o := &resumeOptions{cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Let the manager publish changes again",
		Long: `Let the manager publish changes again after a pause, after an undo, or after a canary failed. The manager
tries the change that failed again, unless the sets were changed since. If more than one pause, undo or
halt is in effect, resume ends none of them until you choose with --only or --all, because the others
may belong to a colleague.

You need the rights of the ClusterRole mirrorset-rollout-editor in Mirrorset's namespace.`,
		Example: "  kubectl mirrors rollout resume && kubectl mirrors rollout status\n" +
			"  kubectl mirrors rollout resume --only=halt",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			c, err := o.cluster.Connect()
			if err != nil {
				return err
			}
			return o.resume(cmd.Context(), c, cmd.OutOrStdout())
		},
	}
	o.cluster.Add(cmd)
	cmd.Flags().StringVar(&o.only, "only", "", `end only this one and leave the others: "pause", "undo" or "halt"`)
	command.CompleteWith(cmd, "only", onlyPause, onlyUndo, onlyHalt)
	cmd.Flags().BoolVar(&o.all, "all", false, "end every pause, undo and halt")
	return cmd
}

func (o *resumeOptions) check() error {
	switch {
	case o.only != "" && o.all:
		return errors.New("--only and --all cannot be combined")
	case !slices.Contains([]string{"", onlyPause, onlyUndo, onlyHalt}, o.only):
		return fmt.Errorf("--only %q: the value must be %s, %s or %s", o.only, onlyPause, onlyUndo, onlyHalt)
	}
	return nil
}

// obstacle is an annotation that keeps changes from the nodes.
type obstacle struct {
	name string // as --only has it
	key  string
	says string // who, when and why
}

// obstaclesIn returns what stands in the way, in the order in which the verbs tell of it.
func obstaclesIn(annotations map[string]string) (all []obstacle) {
	r := payload.ReadRollout(annotations)
	if _, there := annotations[payload.PausedAnnotation]; there {
		all = append(all, obstacle{onlyPause, payload.PausedAnnotation, cluster.SayPause(r.Paused)})
	}
	if text, there := annotations[payload.UndoneAnnotation]; there {
		says := "paused, because " + payload.UndoneAnnotation + " cannot be read: " + payload.Brief(text)
		if r.Undone != nil {
			says = cluster.SayUndo(r.Undone)
		}
		all = append(all, obstacle{onlyUndo, payload.UndoneAnnotation, says})
	}
	if text, there := annotations[payload.HaltedAnnotation]; there {
		says := "halted, and " + payload.HaltedAnnotation + " cannot be read: " + payload.Brief(text)
		if r.Halted != nil {
			says = "halted: " + cluster.SayHalt(r.Halted)
		}
		all = append(all, obstacle{onlyHalt, payload.HaltedAnnotation, says})
	}
	return all
}

// choose returns what to end of the obstacles.
func (o *resumeOptions) choose(cm *corev1.ConfigMap) ([]obstacle, error) {
	all := obstaclesIn(cm.Annotations)
	switch {
	case len(all) == 0:
		return nil, errors.New(object + " is not paused, undone or halted, so there is nothing to resume")
	case o.only != "":
		i := slices.IndexFunc(all, func(s obstacle) bool { return s.name == o.only })
		if i < 0 {
			return nil, fmt.Errorf("%s has no %s to end; it is %s", object, o.only, all[0].says)
		}
		return all[i : i+1], nil
	case len(all) > 1 && !o.all:
		return nil, refusal(cm.Namespace, all)
	}
	return all, nil
}

// refusal names each of those that stand, with the command that ends it.
func refusal(namespace string, all []obstacle) error {
	p := cluster.Publication{Namespace: namespace}
	var text strings.Builder
	text.WriteString("changes are kept from the nodes for more than one reason, so nothing was resumed. Choose which to end:")
	for _, s := range all {
		fmt.Fprintf(&text, "\n  %s\n    %s", s.says, p.RolloutCommand("resume --only="+s.name))
	}
	fmt.Fprintf(&text, "\n  all of these, after which %s\n    %s", publishes, p.RolloutCommand("resume --all"))
	return errors.New(text.String())
}

func (o *resumeOptions) resume(ctx context.Context, c *cluster.Cluster, out io.Writer) error {
	var before *corev1.ConfigMap
	var ended []obstacle
	err := steer(ctx, c, nil, func(cm *corev1.ConfigMap) (map[string]any, error) {
		var err error
		if ended, err = o.choose(cm); err != nil {
			return nil, err
		}
		before = cm
		goes := make(map[string]any)
		for _, s := range ended {
			goes[s.key] = nil
		}
		return goes, nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s resumed\n", object)
	left := maps.Clone(before.Annotations)
	for _, s := range ended {
		fmt.Fprintf(out, "It was %s.", s.says)
		if s.name == onlyHalt {
			fmt.Fprint(out, " The manager tries the same change again, unless the sets were fixed.")
		}
		fmt.Fprintln(out)
		delete(left, s.key)
	}
	stays := obstaclesIn(left)
	for _, s := range stays {
		fmt.Fprintf(out, "It stays %s.\n", s.says)
	}
	fmt.Fprintln(out, next(ctx, c, before, stays))
	return nil
}

// next says what the manager does now. Where the sets cannot be read, it says what it would do.
func next(ctx context.Context, c *cluster.Cluster, before *corev1.ConfigMap, stays []obstacle) string {
	p := cluster.Publication{Namespace: before.Namespace}
	for _, s := range stays {
		if s.name != onlyHalt {
			return "The manager publishes no change until you end that too: " + p.RolloutCommand("resume")
		}
	}
	follow := ". To follow it: " + p.RolloutCommand("status")
	if len(stays) > 0 {
		return "Next, canaries try the sets as they are, unless that is the change that failed" + follow
	}
	p, err := cluster.ReadPublication(before)
	if err != nil {
		return "Next, " + publishes + "."
	}
	p.Rollout = payload.Rollout{}
	sets, err := c.Sets(ctx)
	switch {
	case p.Canary != nil:
		return fmt.Sprintf("Next, canaries continue with revision %d, and their soak time starts again%s", p.Canary.Revision, follow)
	case err == nil && p.Hold(sets) == nil:
		return "All nodes already get the sets as they are, so the manager publishes nothing new."
	}
	return "Next, " + publishes + follow
}
