// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package check is the verb that asks the mirrors whether they have images.
package check

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/plugin/registry"
)

// options are those of one run.
type options struct {
	files    manifests.Flags
	cluster  cluster.Flags
	listing  output.Listing
	images   string
	pods     bool
	source   bool
	parallel int
	timeout  time.Duration

	tagsOfPods []mirrors.Reference // which are not checked
}

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "check [IMAGE...] [-f FILE|DIR|-]",
		Short: "Ask the mirrors whether they have images",
		Long: "Ask the mirrors whether they have images: those named, those in a file, or all that Pods of the cluster run by digest. " +
			"Without -f the sets are those of the cluster. Each mirror is asked with the credentials that podman login and docker login left; " +
			"sources are asked with --source only. By a tag, places may have different images; that is warned of as TagDiffers. The exit " +
			"code is 0 if a mirror has each image, 1 if one would come from its source or from nowhere, and 2 after an error.",
		Example: "  kubectl mirrors check quay.io/prometheus/prometheus@sha256:... -f config/samples/\n" +
			"  kubectl mirrors check quay.io/prometheus/prometheus:v3.7.0 --source\n" +
			"  kubectl mirrors check --pods",
		Annotations:       map[string]string{command.ErrorCode: "2"},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              o.run,
	}
	o.files.AddFilename(cmd)
	o.files.AddInsecure(cmd)
	o.cluster.Add(cmd)
	o.listing.AddFlags(cmd, "table", "wide", "json", "yaml")
	cmd.Flags().StringVar(&o.images, "images", "", "file with an image a line, or - for standard input")
	cmd.Flags().BoolVar(&o.pods, "pods", false, "check all images that Pods of the cluster run by digest")
	cmd.Flags().BoolVar(&o.source, "source", false, "ask the sources too, but for those that are blocked")
	cmd.Flags().IntVar(&o.parallel, "parallel", 8, "how many requests there are at a time")
	cmd.Flags().DurationVar(&o.timeout, "registry-timeout", 10*time.Second, "how long to wait for the answer of a mirror, and for that of a credential helper")
	command.CompleteWith(cmd, "parallel")
	command.CompleteWith(cmd, "registry-timeout")
	return cmd
}

func (o *options) run(cmd *cobra.Command, args []string) error {
	switch err := o.listing.Check(); {
	case err != nil:
		return err
	case o.parallel < 1:
		return fmt.Errorf("--parallel %d: want 1 or more", o.parallel)
	case o.timeout <= 0:
		return fmt.Errorf("--registry-timeout %s: want more than 0", o.timeout)
	case o.images == "-" && slices.Contains(o.files.Filenames, "-"):
		return errors.New("-f and --images cannot both read standard input")
	}
	sets, _, err := o.cluster.Sets(cmd, &o.files)
	if err != nil {
		return err
	}
	result, err := o.files.Merge(sets)
	if err != nil {
		return err
	}
	references, err := o.references(cmd, args)
	if err != nil {
		return err
	}
	index := mirrors.NewIndex(result.Rules)
	images, resolutions := make([]checkedImage, len(references)), make([]mirrors.Resolution, len(references))
	for i, ref := range references {
		resolutions[i] = index.Resolve(ref)
		images[i] = placesOf(ref, resolutions[i], o.source)
	}
	output.Warn(cmd.ErrOrStderr(), concerning(output.Touching(result.Findings, resolutions...), references, resolutions))
	noteTagsOfPods(cmd.ErrOrStderr(), index, o.tagsOfPods)
	o.ask(cmd, images)
	for i := range images {
		images[i].From = images[i].origin()
		images[i].compareDigests(cmd.ErrOrStderr())
	}
	return o.report(cmd, images)
}

// concerning leaves out what is found of pulls by tag, or by digest, where no image of the source is named so.
func concerning(findings []mirrors.Finding, references []mirrors.Reference, resolutions []mirrors.Resolution) []mirrors.Finding {
	named := make(map[mirrors.Scope]mirrors.Mode)
	for i, ref := range references {
		if rule := resolutions[i].Rule; rule != nil {
			named[rule.Source] |= ref.Mode
		}
	}
	return slices.DeleteFunc(findings, func(f mirrors.Finding) bool {
		switch f.Reason {
		case mirrors.BlocksTagPulls:
			return named[f.Source]&mirrors.ByTag == 0
		case mirrors.BlocksDigestPulls:
			return named[f.Source]&mirrors.ByDigest == 0
		}
		return false
	})
}

// ask fills in the results that are still open. The places are asked at the same time, and each one once.
func (o *options) ask(cmd *cobra.Command, images []checkedImage) {
	type question struct {
		location string
		insecure bool
	}
	type asker struct {
		image *checkedImage
		place *checkedPlace
	}
	open := make(map[question][]asker)
	var questions []question
	for i := range images {
		for j := range images[i].Places {
			if p := &images[i].Places[j]; p.Result == "" {
				q := question{p.Location, p.insecure}
				if open[q] == nil {
					questions = append(questions, q)
				}
				open[q] = append(open[q], asker{&images[i], p})
			}
		}
	}
	live, asked := output.NewLiveLine(cmd.ErrOrStderr()), 0
	client := registry.NewClient(o.timeout)
	var mu sync.Mutex
	var all sync.WaitGroup
	turns := make(chan struct{}, o.parallel)
	for _, q := range questions {
		turns <- struct{}{}
		all.Go(func() {
			answer := client.Has(cmd.Context(), q.location, q.insecure)
			<-turns
			mu.Lock()
			defer mu.Unlock()
			for _, a := range open[q] {
				a.image.take(a.place, answer)
			}
			asked++
			live.Show(fmt.Sprintf("%d of %d places asked", asked, len(questions)))
		})
	}
	all.Wait()
	live.Clear()
}

// report prints all, and returns the verdict.
func (o *options) report(cmd *cobra.Command, images []checkedImage) error {
	counts := make(map[origin]int)
	for i := range images {
		counts[images[i].From]++
	}
	if o.listing.IsTable() {
		if err := o.listing.NewTable(cmd.OutOrStdout(), columnsOf(images)...).Print(imageRows(images, o.listing.IsWide())...); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%d of %s from a mirror, %d from the source, %d from nowhere.\n",
			counts[fromMirror], output.Plural(len(images), "image comes", "images come"), counts[fromSource], counts[fromNowhere])
	} else if err := output.Value(cmd.OutOrStdout(), o.listing.Name, map[string]any{
		"fromMirror": counts[fromMirror], "fromSource": counts[fromSource], "fromNowhere": counts[fromNowhere], "images": images,
	}); err != nil {
		return err
	}
	if counts[fromMirror] < len(images) {
		return command.Verdict(1)
	}
	return nil
}
