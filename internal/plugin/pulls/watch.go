// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package pulls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

const (
	// settle is how long a pull must not have changed to be printed, and unsettled how long one may change until it is printed anyway. containerd asks
	// for many parts of an image at the same time, and each would be a line.
	settle, unsettled = time.Second, 5 * time.Second
	// again is how long to wait for the successor of an agent that has ended.
	again = 2 * time.Second
)

// heard is what one agent told, or that it tells no more.
type heard struct {
	node  string
	since time.Time
	pull  accesslog.Pull
	lost  error // why the agent is asked again
	ended error // why it is not
}

// follow prints pulls as they come, until nobody is left who tells of any.
func (o *options) follow(cmd *cobra.Command, c *cluster.Cluster, t target) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	all := make(chan heard)
	var listening sync.WaitGroup
	for _, node := range t.nodes {
		listening.Go(func() { listen(ctx, c, node, all) })
	}
	go func() { listening.Wait(); close(all) }()
	stderr := cmd.ErrOrStderr()
	sayDoubts(ctx, c, t, func(line string) { fmt.Fprintln(stderr, line) })
	p := &patience{waiting: make(map[key]*waiting), printed: make(map[key]accesslog.Pull)}
	table := o.listing.NewTable(cmd.OutOrStdout(), columns(t.all)...)
	print := func(until time.Time) error {
		if due := p.due(until); len(due) > 0 {
			return table.Print(rows(due, t.all)...)
		}
		return nil
	}
	ticker := time.NewTicker(settle / 4)
	defer ticker.Stop()
	for {
		select {
		case h, more := <-all:
			switch {
			case !more, h.ended != nil && len(t.nodes) == 1:
				return errors.Join(print(time.Now().Add(settle)), endOf(ctx, h))
			case h.ended != nil:
				fmt.Fprintln(stderr, sayFailed(h.node, h.ended))
			case h.lost != nil:
				fmt.Fprintln(stderr, output.Harmless(fmt.Sprintf("note: node %s: %v; trying again", h.node, h.lost)))
			case t.wants(h.pull):
				p.take(h, time.Now())
			}
		case <-ticker.C:
			if err := print(time.Now()); err != nil {
				return err
			}
		}
	}
}

// endOf is for when no agent tells of pulls any more.
func endOf(ctx context.Context, last heard) error {
	switch {
	case last.ended != nil:
		return fmt.Errorf("node %s: %w", last.node, last.ended)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return command.Verdict(1) // each said why
}

// listen has an agent of a node tell of its pulls, and its successors, until there is no hope for more.
func listen(ctx context.Context, c *cluster.Cluster, node string, all chan<- heard) {
	tell := func(h heard) error {
		h.node = node
		select {
		case all <- h:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for known, said := false, ""; ; {
		var since time.Time
		err := c.WatchPulls(ctx, node, func(head accesslog.Head) { known, said, since = true, "", head.Since }, func(pull accesslog.Pull) error {
			return tell(heard{since: since, pull: pull})
		})
		if ctx.Err() != nil {
			return
		}
		if !known || errors.Is(err, cluster.ErrMayNotAsk) || errors.Is(err, cluster.ErrUnseen) || errors.Is(err, cluster.ErrOlderAgent) {
			_ = tell(heard{ended: err}) // or nobody listens
			return
		}
		if err.Error() != said {
			said = err.Error()
			if tell(heard{lost: err}) != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

// key is what tells one pull from all others.
type key struct {
	node  string
	since time.Time
	id    uint64
}

// waiting is a pull that may change still.
type waiting struct {
	pullOf
	first, last time.Time // when it was heard of since it was printed
}

// patience holds back pulls that change.
type patience struct {
	waiting map[key]*waiting
	printed map[key]accesslog.Pull
}

// take takes what was heard.
func (p *patience) take(h heard, now time.Time) {
	k := key{h.node, h.since, h.pull.ID}
	if printed, ok := p.printed[k]; ok && reflect.DeepEqual(printed, h.pull) {
		return // an agent that is asked again tells all again
	}
	if w, ok := p.waiting[k]; ok {
		w.Pull, w.last = h.pull, now
		return
	}
	p.waiting[k] = &waiting{pullOf{h.node, h.pull}, now, now}
}

// due returns what is to be printed now, in the order in which it began.
func (p *patience) due(now time.Time) (pulls []pullOf) {
	for k, w := range p.waiting {
		if now.Sub(w.last) < settle && now.Sub(w.first) < unsettled {
			continue
		}
		pulls = append(pulls, w.pullOf)
		delete(p.waiting, k)
		p.printed[k] = w.Pull
		maps.DeleteFunc(p.printed, func(old key, _ accesslog.Pull) bool { // which its agent has forgotten
			return old.node == k.node && (old.since != k.since || old.id+kept <= k.id)
		})
	}
	slices.SortFunc(pulls, func(a, b pullOf) int {
		return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.node, b.node), cmp.Compare(a.ID, b.ID))
	})
	return pulls
}
