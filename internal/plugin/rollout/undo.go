// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/changes"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// The values of --dry-run, as kubectl has them.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
	dryRunServer = "server"
)

// undoOptions are those of one run.
type undoOptions struct {
	cluster  cluster.Flags
	revision int64
	reason   string
	dryRun   string
}

func undoCommand() *cobra.Command {
	o := &undoOptions{cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "undo [--to-revision N]",
		Short: "Move all nodes back to an earlier revision, until resume",
		Long: `Move all nodes, canaries included, back to an earlier revision immediately, until resume. Without
--to-revision, that is the revision before the one that all nodes have. While canaries try a change, or
after a canary failed, it is the revision that all nodes have. The sets do not change: fix them before
resume, or the manager publishes the same change again.

You need the rights of the ClusterRole mirrorset-rollout-editor in Mirrorset's namespace.`,
		Example: "  kubectl mirrors rollout undo --dry-run=client\n" +
			"  kubectl mirrors rollout undo --to-revision=1795573438818 --reason='quay.io behind a misspelt mirror'",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              o.run,
	}
	o.cluster.Add(cmd)
	cmd.Flags().Int64Var(&o.revision, "to-revision", 0, "revision from the history to go back to; 0 means the previous revision")
	o.cluster.CompleteRevisions(cmd, "to-revision")
	addReason(cmd, &o.reason)
	cmd.Flags().StringVar(&o.dryRun, "dry-run", dryRunNone, `"client" only prints how image pulls would change; "server" also lets the API server check the write`)
	command.CompleteWith(cmd, "dry-run", dryRunNone, dryRunClient, dryRunServer)
	return cmd
}

func (o *undoOptions) run(cmd *cobra.Command, _ []string) error {
	if !slices.Contains([]string{dryRunNone, dryRunClient, dryRunServer}, o.dryRun) {
		return fmt.Errorf("--dry-run %q: the value must be %s, %s or %s", o.dryRun, dryRunNone, dryRunClient, dryRunServer)
	}
	c, err := o.cluster.Connect()
	if err != nil {
		return err
	}
	h, err := c.History(cmd.Context(), cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	to, err := o.target(h)
	if err != nil {
		return err
	}
	if err := o.show(cmd, h.Published, to); err != nil {
		return err
	}
	if o.dryRun != dryRunClient {
		if err := o.write(cmd.Context(), c, h, to); err != nil {
			return err
		}
	}
	note := map[string]string{dryRunNone: "", dryRunClient: " (dry run)", dryRunServer: " (server dry run)"}[o.dryRun]
	fmt.Fprintf(cmd.OutOrStdout(), "%s rolled back to revision %d%s\n", object, to.Revision, note)
	if o.dryRun == dryRunNone {
		fmt.Fprintf(cmd.OutOrStdout(), "All nodes go back to it immediately. Fix the sets, then: %s\n", h.Published.RolloutCommand("resume"))
	}
	return nil
}

// target returns the record to go back to.
func (o *undoOptions) target(h *cluster.History) (*history.Record, error) {
	p := h.Published
	if p == nil {
		return nil, errors.New("there is no ConfigMap " + payload.ConfigMapName + ", so there is nothing to undo; name the namespace that Mirrorset is installed in with --namespace")
	}
	trying := p.Canary != nil || p.Halted != nil
	if o.revision != 0 {
		to := h.Record(o.revision)
		switch {
		case to == nil:
			return nil, cluster.NoRevision(o.revision, h.Records)
		case p.Undone != nil && p.Undone.Digest == to.Digest:
			return nil, fmt.Errorf("%s is already %s", object, cluster.SayUndo(p.Undone))
		case p.Undone == nil && !trying && p.Digest == to.Digest:
			return nil, fmt.Errorf("revision %d is already the revision that all nodes should have", o.revision)
		}
		return to, nil
	}
	switch {
	case p.Undone != nil:
		return nil, fmt.Errorf("%s is already %s; name another revision with --to-revision, or end the undo: %s", object, cluster.SayUndo(p.Undone), p.RolloutCommand("resume"))
	case trying:
		if to := h.Of(p.Digest); to != nil {
			return to, nil
		}
		return nil, fmt.Errorf("the history does not yet have revision %d, which all nodes have; try again in a moment. If that does not help, the manager cannot write the history, and its log shows why: kubectl -n %s logs deployment/%s", p.Revision, p.Namespace, cluster.ManagerDeployment)
	}
	for i := range h.Records {
		if r := &h.Records[i]; r.Revision < p.Revision && r.Digest != p.Digest {
			return r, nil
		}
	}
	return nil, fmt.Errorf("the history has no revision before %d, which all nodes have", p.Revision)
}

// show prints how image pulls change: everything in a dry run, otherwise what is dangerous.
func (o *undoOptions) show(cmd *cobra.Command, p *cluster.Publication, to *history.Record) error {
	from, who := p.Payload, "No image pull on any node changes."
	if p.Canary != nil {
		from, who = p.Canary.Payload, "No image pull on any canary changes."
	}
	found, err := changes.CompareTexts(from.Text, to.Text)
	if err != nil {
		return err
	}
	if opened := found.Opened(); len(opened) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: OpensSources: nodes may then contact %s: %s\n",
			output.Plural(len(opened), "source that is blocked now", "sources that are blocked now"), output.FirstOf(opened, 10))
	}
	switch {
	case found.IsEmpty():
		fmt.Fprintln(cmd.OutOrStdout(), who)
	case o.dryRun != dryRunNone:
		if err := found.Print(cmd.OutOrStdout(), "table"); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout())
	default:
		fmt.Fprintf(cmd.OutOrStdout(), "Image pulls from %s change; to see how: kubectl mirrors diff --revision %d --revision %d\n",
			output.Plural(len(found.Sources), "source", "sources"), from.Revision, to.Revision)
	}
	return nil
}

// write gives the order, unless the same command would mean something else by now.
func (o *undoOptions) write(ctx context.Context, c *cluster.Cluster, looked *cluster.History, to *history.Record) error {
	order, err := newOrder(ctx, c, o.reason)
	if err != nil {
		return err
	}
	var dryRun []string
	if o.dryRun == dryRunServer {
		dryRun = []string{metav1.DryRunAll}
	}
	return steer(ctx, c, dryRun, func(cm *corev1.ConfigMap) (map[string]any, error) {
		p, err := cluster.ReadPublication(cm)
		if err != nil {
			return nil, err
		}
		now, err := o.target(&cluster.History{Records: looked.Records, Published: &p})
		if err != nil {
			return nil, err
		}
		if now.Digest != to.Digest {
			return nil, errors.New("another change was published or halted meanwhile, so nothing was undone; check again with --dry-run=client")
		}
		undo := payload.Undo{Order: order, Revision: to.Revision, Digest: to.Digest}
		return map[string]any{payload.UndoneAnnotation: payload.Rollout{Undone: &undo}.Annotations()[payload.UndoneAnnotation]}, nil
	})
}
