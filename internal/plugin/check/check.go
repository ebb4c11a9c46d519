// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package check is the verb that checks if mirrors have the images that nodes need.
package check

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/plugin/registry"
)

// options are those of one run.
type options struct {
	files     manifests.Flags
	cluster   cluster.Flags
	listing   output.Listing
	registry  registry.Options
	images    string
	pods      bool
	whatIf    bool
	source    bool
	asNodes   bool
	platforms []string
	parallel  int
}

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "check [IMAGE...] [-f FILE|DIR|-]",
		Short: "Check that mirrors have the images that nodes need",
		Long: `Check that mirrors have the images that nodes need: the images given as arguments, those in a file, or
all that the Pods in the cluster name in their specs.

Without -f, check reads the sets from the cluster. With -f, it reads the sets from the files. With
--what-if, it adds the sets of the files to those of the cluster; they replace sets with the same kind
and name. check contacts sources only with --source.

A place has an image if it has the manifest. If that is an index, the place must also have the
manifests for the platforms: those of --platform, otherwise those of the cluster's Nodes, otherwise all
that the index lists. --layers also checks the config and all layers. check pulls nothing, so it does
not compare content with digests.

--cluster-credentials contacts registries as the nodes do: each mirror with the login and the certificate
authority that the cluster grants for it in Secret mirror-credentials and ConfigMap mirror-authorities,
and each source with neither. You need the right to get these two objects.

--pods checks the images named in the specs of all Pods, whatever their phase, as if no node had an image:
running containers and imagePullPolicy make no difference.

Exit codes:
- 0: a mirror has each image
- 1: some image would come from its source, or from nowhere
- 2: an error`,
		Example: "  kubectl mirrors check quay.io/prometheus/prometheus:v3.7.0 -f config/samples/\n" +
			"  kubectl mirrors check quay.io/prometheus/prometheus:v3.7.0 --source\n" +
			"  kubectl mirrors check --images mapping.txt --layers\n" +
			"  kubectl mirrors check --pods --what-if -f new-sets/",
		Annotations:       map[string]string{command.ErrorCode: "2"},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              o.run,
	}
	o.files.AddFilename(cmd)
	o.files.AddInsecure(cmd)
	o.cluster.Add(cmd)
	o.listing.AddFlags(cmd, "table", "wide", "json", "yaml")
	o.addFlags(cmd)
	return cmd
}

func (o *options) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.images, "images", "", "file with one image per line, such as oc-mirror's mapping.txt, or - for standard input")
	flags.BoolVar(&o.pods, "pods", false, "check all images that the Pods in the cluster name in their specs")
	flags.BoolVar(&o.whatIf, "what-if", false, "check as if the sets of -f were applied to the cluster")
	flags.BoolVar(&o.source, "source", false, "contact the sources too, except blocked ones")
	flags.StringSliceVar(&o.platforms, "platform", nil, "platform, as OS/ARCH[/VARIANT], that each index must have a manifest for; may be repeated (default: those of the cluster's Nodes, or all that the index lists if there is no cluster)")
	flags.BoolVar(&o.registry.Layers, "layers", false, "check the config and the layers of each image too")
	flags.StringVar(&o.registry.CAFile, "ca-file", "", "file with certificates in PEM format to trust in addition to those of the system")
	flags.StringVar(&o.registry.AuthFile, "authfile", "", "file with the credentials to use, in the format of podman login (default: the credentials stored by podman login and docker login)")
	flags.BoolVar(&o.asNodes, "cluster-credentials", false, "use the logins and certificate authorities that the cluster grants its nodes for mirrors, instead of your own")
	flags.IntVar(&o.parallel, "parallel", 8, "maximum number of requests at a time")
	flags.DurationVar(&o.registry.Timeout, "registry-timeout", 10*time.Second, "timeout for each request, and for each call of a credential helper")
	for _, name := range []string{"platform", "parallel", "registry-timeout"} {
		command.CompleteWith(cmd, name)
	}
}

func (o *options) check() error {
	switch err := o.listing.Check(); {
	case err != nil:
		return err
	case o.parallel < 1:
		return fmt.Errorf("--parallel %d: the value must be 1 or more", o.parallel)
	case o.registry.Timeout <= 0:
		return fmt.Errorf("--registry-timeout %s: the value must be more than 0", o.registry.Timeout)
	case o.images == "-" && slices.Contains(o.files.Filenames, "-"):
		return errors.New("-f and --images cannot both read standard input")
	case o.asNodes && (o.registry.AuthFile != "" || o.registry.CAFile != ""):
		return errors.New("--cluster-credentials uses the credentials that the cluster grants its nodes, and --authfile and --ca-file use your own; give one or the other")
	case o.whatIf && !o.files.Given():
		return errors.New("--what-if: name the sets to try with -f or -k")
	}
	for _, text := range o.platforms {
		p, err := registry.ParsePlatform(text)
		if err != nil {
			return fmt.Errorf("--platform %q: the value must be OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64", text)
		}
		o.registry.Platforms = append(o.registry.Platforms, p)
	}
	return nil
}

func (o *options) run(cmd *cobra.Command, args []string) error {
	if err := o.check(); err != nil {
		return err
	}
	today, then, c, err := o.sets(cmd)
	if err != nil {
		return err
	}
	result, err := o.files.Merge(then)
	if err != nil {
		return err
	}
	wants, err := o.all(cmd, args, c)
	if err != nil {
		return err
	}
	if err := o.learnGrants(cmd, c, result.Rules); err != nil {
		return err
	}
	runtimes := o.learnMachines(cmd, c)
	client, err := registry.NewClient(o.registry)
	if err != nil {
		return err
	}
	j := judge{client: client, answers: make(map[question]registry.Answer), parallel: o.parallel, askSource: o.source, runtimes: runtimes}
	images, pulls := j.placesOfAll(result, wants)
	output.Warn(cmd.ErrOrStderr(), output.Touching(result.Findings, pulls...))
	if err := o.learnToday(cmd, j, today, wants, images); err != nil {
		return err
	}
	j.settle(cmd.Context(), cmd.ErrOrStderr(), images)
	for i := range images {
		images[i].compareDigests(cmd.ErrOrStderr())
	}
	return o.report(cmd, images)
}

// sets returns the sets to judge by, and those of today where these are compared. The cluster is nil where nothing is asked of one.
func (o *options) sets(cmd *cobra.Command) (today, then []kinds.Set, c *cluster.Cluster, err error) {
	if !o.whatIf {
		if then, c, err = o.cluster.Sets(cmd, &o.files); err == nil && c == nil && (o.pods || o.asNodes) {
			c, err = o.cluster.Connect()
		}
		return nil, then, c, err
	}
	applied, err := o.files.Read(cmd)
	if err != nil {
		return nil, nil, nil, err
	}
	if c, err = o.cluster.Connect(); err == nil {
		today, err = c.Sets(cmd.Context())
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("--what-if needs a cluster, to add the sets of -f to its sets: %w", err)
	}
	c.WarnOfLacks(cmd.ErrOrStderr())
	c.WarnOfHold(cmd.Context(), today, cmd.ErrOrStderr())
	return today, kinds.Applied(today, applied), c, nil
}

// learnMachines takes the platforms from the Nodes of the cluster, if there is one and none are named, and returns the runtimes there,
// or none if they are not known.
func (o *options) learnMachines(cmd *cobra.Command, c *cluster.Cluster) (runtimes []string) {
	if c == nil {
		return nil
	}
	machines, err := c.Machines(cmd.Context())
	if err != nil {
		all := ", so each index must have the manifests for all platforms that it lists; name the platforms that you need with --platform"
		if len(o.registry.Platforms) > 0 {
			all = ""
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: the Nodes of the cluster could not be listed%s: %v\n", all, err)
		return nil
	}
	if len(o.registry.Platforms) == 0 {
		o.registry.Platforms = machines.Platforms
	}
	return machines.Runtimes
}

// learnToday finds out where images come from without the sets of --what-if.
func (o *options) learnToday(cmd *cobra.Command, j judge, today []kinds.Set, wants []wanted, images []checkedImage) error {
	if !o.whatIf {
		return nil
	}
	result, err := o.files.Merge(today)
	if err != nil {
		return err
	}
	now, _ := j.placesOfAll(result, wants)
	j.settle(cmd.Context(), cmd.ErrOrStderr(), now)
	for i := range images {
		images[i].Before = now[i].From
	}
	return nil
}

// report prints all, and returns the verdict.
func (o *options) report(cmd *cobra.Command, images []checkedImage) error {
	counts := make(map[origin]int)
	for i := range images {
		counts[images[i].From]++
	}
	if o.listing.IsTable() {
		t := newTable(images, o.listing.IsWide(), o.pods)
		if err := o.listing.NewTable(cmd.OutOrStdout(), t.columns()...).Print(t.rows()...); err != nil {
			return err
		}
		sayChanges(cmd.ErrOrStderr(), images)
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

// sayChanges names the images that come from somewhere else once the sets of --what-if are applied.
func sayChanges(stderr io.Writer, images []checkedImage) {
	names := map[origin]string{fromMirror: "a mirror", fromSource: "the source", fromNowhere: "nowhere"}
	for i := range images {
		if image := &images[i]; image.Before != "" && image.Before != image.From {
			by := ""
			if len(image.Pods) > 0 {
				by = " (Pods " + sayPods(image.Pods, 10) + ")"
			}
			fmt.Fprintf(stderr, "changed: %s%s would come from %s with these sets; without them it comes from %s\n", image.Image, by, names[image.From], names[image.Before])
		}
	}
}
