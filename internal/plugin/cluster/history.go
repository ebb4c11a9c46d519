// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// History is what a revision can name: what all nodes were given before, what they are given now, and what canaries try.
type History struct {
	// Records are in the order of their revisions, the latest first.
	Records []history.Record
	// Published is nil where there is no ConfigMap that can be read.
	Published *Publication
}

// History reads the records (docs/reference/semantics.md C7). One that cannot be read is a warning.
func (c *Cluster) History(ctx context.Context, stderr io.Writer) (*History, error) {
	var h History
	p, err := c.Published(ctx)
	switch {
	case err == nil:
		h.Published = &p
	case !apierrors.IsNotFound(err):
		return nil, err
	}
	list, err := c.ControllerRevisions(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(history.Labels).String()})
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		record, err := history.Read(&list.Items[i])
		if err != nil {
			fmt.Fprintf(stderr, "warning: UnreadableRecord: %v\n", err)
			continue
		}
		h.Records = append(h.Records, record)
	}
	history.Sort(h.Records)
	return &h, nil
}

// Of returns the record of a text; nil where there is none.
func (h *History) Of(digest string) *history.Record {
	at := slices.IndexFunc(h.Records, func(r history.Record) bool { return r.Digest == digest })
	if at < 0 {
		return nil
	}
	return &h.Records[at]
}

// All are the records, and the published revisions without a record, the latest first.
func (h *History) All() []history.Record {
	all := slices.Clone(h.Records)
	add := func(p payload.Payload) {
		if h.Of(p.Digest) == nil {
			all = append(all, history.OfUnknown(p))
		}
	}
	if h.Published != nil {
		add(h.Published.Payload)
		if h.Published.Canary != nil {
			add(h.Published.Canary.Payload)
		}
	}
	history.Sort(all)
	return all
}

// Record returns the record that a revision names; nil where there is none. The revision of what is published may be later than that of its
// record, which is about to follow.
func (h *History) Record(revision int64) *history.Record {
	if at := slices.IndexFunc(h.Records, func(r history.Record) bool { return r.Revision == revision }); at >= 0 {
		return &h.Records[at]
	}
	if h.Published != nil && h.Published.Revision == revision {
		return h.Of(h.Published.Digest)
	}
	return nil
}

// Find returns the record of a revision, or the published revision without a record. An error lists the revisions.
func (h *History) Find(revision int64) (*history.Record, error) {
	if r := h.Record(revision); r != nil {
		return r, nil
	}
	all := h.All()
	if at := slices.IndexFunc(all, func(r history.Record) bool { return r.Revision == revision }); at >= 0 {
		return &all[at], nil
	}
	return nil, NoRevision(revision, all)
}

// NoRevision says that there is no such revision among some.
func NoRevision(revision int64, among []history.Record) error {
	if len(among) == 0 {
		return fmt.Errorf("revision %d is not in the history: the history is still empty", revision)
	}
	numbers := make([]string, len(among))
	for i := range among {
		numbers[i] = strconv.FormatInt(among[i].Revision, 10)
	}
	return fmt.Errorf("revision %d is not in the history; choose one of %s", revision, strings.Join(numbers, ", "))
}

// CompleteRevisions has the shell offer the revisions of the history for a flag.
func (f Flags) CompleteRevisions(cmd *cobra.Command, flag string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		c, err := f.Connect()
		var h *History
		if err == nil {
			h, err = c.History(cmd.Context(), io.Discard)
		}
		if err != nil {
			return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
		}
		var offered []cobra.Completion
		for _, r := range h.All() {
			offered = append(offered, cobra.CompletionWithDesc(strconv.FormatInt(r.Revision, 10), strings.Join(h.States(&r), ", ")))
		}
		return offered, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	})
	if err != nil {
		panic(err) // the verb has added the flag just before
	}
}

// What a record is at present.
const (
	// AllNodes is what all nodes except canaries should have.
	AllNodes = "AllNodes"
	// OnCanaries is what canaries try.
	OnCanaries = "Canaries"
	// UndoneTo is what an undo names.
	UndoneTo = "UndoneTo"
)

// States say what a record is at present; most are nothing.
func (h *History) States(r *history.Record) (states []string) {
	p := h.Published
	if p == nil {
		return nil
	}
	if p.Digest == r.Digest {
		states = append(states, AllNodes)
	}
	if p.Canary != nil && p.Canary.Digest == r.Digest {
		states = append(states, OnCanaries)
	}
	if p.Undone != nil && p.Undone.Digest == r.Digest {
		states = append(states, UndoneTo)
	}
	return states
}
