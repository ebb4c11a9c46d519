// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// presence is what is known of a place that an image could be pulled from.
type presence string

// The answers.
const (
	isThere   presence = "OK"
	isMissing presence = "Missing"
	noAnswer  presence = "Error"
	notAsked  presence = "NotAsked" // it is the image's own source
	refused   presence = "Refused"  // there is no place
)

// origin is where an image would come from.
type origin string

// The origins.
const (
	fromMirror  origin = "Mirror"
	fromSource  origin = "Source"
	fromNowhere origin = "Nowhere"
)

// checkedImage is one image with all places that it could be pulled from, in order.
type checkedImage struct {
	Image  string         `json:"image"`
	From   origin         `json:"from"`
	Places []checkedPlace `json:"pullSources"`
}

// checkedPlace is one of them.
type checkedPlace struct {
	Location string   `json:"location"`
	Result   presence `json:"result"`
	Message  string   `json:"message,omitempty"`

	insecure bool
}

// checkVerb asks the mirrors whether they have images.
type checkVerb struct {
	input
	output.Listing
	file     string
	pods     bool
	parallel int
	timeout  time.Duration

	stdin       io.Reader
	out, stderr io.Writer
}

func newCheckCommand() *cobra.Command {
	v := &checkVerb{}
	cmd := &cobra.Command{
		Use:   "check [IMAGE...] [-f FILE|DIR|-]",
		Short: "Ask the mirrors whether they have images",
		Long: "Ask the mirrors whether they have images: those named, those in a file, or all that Pods of the cluster run by digest. " +
			"Without -f the sets are those of the cluster. Each mirror is asked with the credentials that podman login and docker login left; " +
			"sources are not asked. The exit code is 0 if a mirror has each image, 1 if one would come from its source or from " +
			"nowhere, and 2 after an error.",
		Example: "  kubectl mirrors check quay.io/prometheus/prometheus@sha256:... -f config/samples/\n" +
			"  kubectl mirrors check --pods",
		Annotations:       map[string]string{command.ErrorCode: "2"},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			v.stdin, v.out, v.stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return v.run(cmd.Context(), args)
		},
	}
	v.addFlagsOfCluster(cmd)
	v.Listing.AddFlags(cmd, "table", "wide", "json", "yaml")
	cmd.Flags().StringVar(&v.file, "images", "", "file with an image a line, or - for standard input")
	cmd.Flags().BoolVar(&v.pods, "pods", false, "check all images that Pods of the cluster run by digest")
	cmd.Flags().IntVar(&v.parallel, "parallel", 8, "how many requests there are at a time")
	cmd.Flags().DurationVar(&v.timeout, "registry-timeout", 10*time.Second, "how long to wait for the answer of a mirror, and for that of a credential helper")
	command.CompleteWith(cmd, "parallel")
	command.CompleteWith(cmd, "registry-timeout")
	return cmd
}

func (v *checkVerb) run(ctx context.Context, args []string) error {
	switch err := v.Check(); {
	case err != nil:
		return err
	case v.parallel < 1:
		return fmt.Errorf("--parallel %d: want 1 or more", v.parallel)
	case v.timeout <= 0:
		return fmt.Errorf("--registry-timeout %s: want more than 0", v.timeout)
	case v.file == "-" && slices.Contains(v.filenames, "-"):
		return errors.New("-f and --images cannot both read standard input")
	}
	result, err := v.merged(ctx)
	if err != nil {
		return err
	}
	references, err := v.references(ctx, args)
	if err != nil {
		return err
	}
	index := mirrors.NewIndex(result.Rules)
	images, resolutions := make([]checkedImage, len(references)), make([]mirrors.Resolution, len(references))
	for i, ref := range references {
		resolutions[i] = index.Resolve(ref)
		images[i] = placesOf(ref, resolutions[i])
	}
	tags := make(map[string]bool) // the sources of images that are named by tag
	for i, ref := range references {
		if rule := resolutions[i].Rule; rule != nil && !ref.ByDigest {
			tags[rule.Source] = true
		}
	}
	output.Warn(v.stderr, slices.DeleteFunc(output.Touching(result.Findings, resolutions...), func(f mirrors.Finding) bool {
		return f.Reason == mirrors.BlocksTagPulls && !tags[f.Source]
	}))
	asker{parallel: v.parallel, timeout: v.timeout, progress: v.stderr, logins: newCredentials(v.timeout)}.ask(ctx, images)
	for i := range images {
		images[i].From = images[i].origin()
	}
	return v.report(images)
}

// merged is what the sets in the files, or in the cluster, come to.
func (v *checkVerb) merged(ctx context.Context) (mirrors.Result, error) {
	var sets []configv1.ImageDigestMirrorSet
	var err error
	if len(v.filenames) > 0 {
		sets, err = v.read(v.stdin, v.stderr)
	} else {
		var c *cluster
		if c, err = v.cluster.connect(); err == nil {
			sets, err = c.sets(ctx)
		}
		if err != nil {
			err = fmt.Errorf("without -f, the sets are those of a cluster: %w", err)
		}
	}
	if err != nil {
		return mirrors.Result{}, err
	}
	return v.mergeSets(sets)
}

// references are the images asked for, each once, in the order of their names.
func (v *checkVerb) references(ctx context.Context, images []string) ([]mirrors.Reference, error) {
	byName := make(map[string]mirrors.Reference)
	if v.file != "" {
		lines, err := linesOf(v.file, v.stdin)
		if err != nil {
			return nil, err
		}
		images = append(images, lines...)
	}
	for _, image := range images {
		ref, err := mirrors.ParseReference(image)
		if err != nil {
			return nil, err
		}
		byName[ref.String()] = ref
	}
	if v.pods {
		c, err := v.cluster.connect()
		if err != nil {
			return nil, err
		}
		running, err := c.runningImages(ctx)
		if err != nil {
			return nil, err
		}
		for _, ref := range running {
			byName[ref.String()] = ref
		}
	}
	if len(byName) == 0 {
		return nil, errors.New("there is no image to check: name some, or see --images and --pods")
	}
	references := make([]mirrors.Reference, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		references = append(references, byName[name])
	}
	return references, nil
}

// placesOf lists where an image could be pulled from.
func placesOf(ref mirrors.Reference, res mirrors.Resolution) checkedImage {
	image := checkedImage{Image: ref.String(), Places: []checkedPlace{}}
	for _, s := range res.PullSources {
		place := checkedPlace{Location: s.Location, insecure: s.Insecure}
		if s.Location == ref.String() {
			place.Result = notAsked
		}
		image.Places = append(image.Places, place)
	}
	return image
}

// origin returns where the image would come from: the first place that has it, or the source, which is not asked.
func (i *checkedImage) origin() origin {
	for _, p := range i.Places {
		switch p.Result {
		case isThere:
			return fromMirror
		case notAsked:
			return fromSource
		}
	}
	return fromNowhere
}

// report prints all, and returns the command.Verdict.
func (v *checkVerb) report(images []checkedImage) error {
	counts := make(map[origin]int)
	for i := range images {
		counts[images[i].From]++
	}
	if v.IsTable() {
		if err := v.NewTable(v.out, imageColumns...).Print(imageRows(images, v.IsWide())...); err != nil {
			return err
		}
		fmt.Fprintf(v.stderr, "%d of %s from a mirror, %d from the source, %d from nowhere.\n",
			counts[fromMirror], output.Plural(len(images), "image comes", "images come"), counts[fromSource], counts[fromNowhere])
	} else if err := output.Value(v.out, v.Name, map[string]any{
		"fromMirror": counts[fromMirror], "fromSource": counts[fromSource], "fromNowhere": counts[fromNowhere], "images": images,
	}); err != nil {
		return err
	}
	if counts[fromMirror] < len(images) {
		return command.Verdict(1)
	}
	return nil
}

var imageColumns = []metav1.TableColumnDefinition{
	{Name: "Image", Type: "string", Format: "name"},
	{Name: "Pull source", Type: "string"},
	{Name: "Result", Type: "string"},
	{Name: "Message", Type: "string", Priority: 1},
}

func imageRows(images []checkedImage, full bool) (rows [][]any) {
	short := func(location string) string {
		if name, digest, ok := strings.Cut(location, "@sha256:"); ok && !full && len(digest) > 12 {
			return name + "@sha256:" + digest[:12]
		}
		return location
	}
	for i := range images {
		if len(images[i].Places) == 0 {
			rows = append(rows, []any{short(images[i].Image), "<none>", string(refused), "<none>"})
		}
		for _, p := range images[i].Places {
			message := p.Message
			if message == "" {
				message = "<none>"
			}
			rows = append(rows, []any{short(images[i].Image), short(p.Location), string(p.Result), message})
		}
	}
	return rows
}
