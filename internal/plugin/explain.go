// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// explanation is the JSON that explain prints.
type explanation struct {
	// Image is the reference as asked for.
	Image string `json:"image"`
	// Source is the source that decides, as written; empty where none matches.
	Source string `json:"source"`
	// Blocked says that the source is never contacted.
	Blocked bool `json:"blocked"`
	// PullSources are tried in this order.
	PullSources []pullSource `json:"pullSources"`
}

type pullSource struct {
	// Location is a full reference.
	Location string `json:"location"`
	// From are the names of the sets that brought it; none for the place that the image's own reference names.
	From []string `json:"from"`
}

func newExplainCommand() *cobra.Command {
	var in input
	var output string
	cmd := &cobra.Command{
		Use:   "explain IMAGE -f FILE|DIR|-",
		Short: "Print where an image is pulled from, in order, and which set says so",
		Example: "  kubectl mirrors explain quay.io/libpod/busybox@sha256:... -f config/samples/\n" +
			"  kubectl mirrors explain alpine:3.22 -f config/samples/ -o json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("want one image to explain, got %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "" && output != "json" {
				return fmt.Errorf("--output %q: want json, or leave it out", output)
			}
			ref, err := mirrors.ParseReference(args[0])
			if err != nil {
				return err
			}
			result, err := in.merge(cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			index := mirrors.NewIndex(result.Rules)
			res := index.Resolve(ref)
			printWarnings(cmd.ErrOrStderr(), touching(res, result.Findings))
			warnOfReaders(cmd.ErrOrStderr(), ref, res, index.ResolveByReaders(ref))
			if output == "json" {
				return printJSON(cmd.OutOrStdout(), args[0], res)
			}
			return printTable(cmd.OutOrStdout(), ref, res)
		},
	}
	in.addFlags(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "output format: json")
	return cmd
}

// touching returns the findings about the source that decides, and about entries that might have: those that are not in
// force, or not for the images that their author means.
func touching(res mirrors.Resolution, findings []mirrors.Finding) []mirrors.Finding {
	var touched []mirrors.Finding
	for _, f := range findings {
		switch f.Reason {
		case mirrors.InvalidSource, mirrors.InvalidMirror, mirrors.InvalidPolicy, mirrors.UnmatchableSource:
			touched = append(touched, f)
		default:
			if res.Rule != nil && f.Source == res.Rule.Source {
				touched = append(touched, f)
			}
		}
	}
	return touched
}

// warnOfReaders says what CRI-O and Podman do otherwise, by their quirks.
func warnOfReaders(stderr io.Writer, ref mirrors.Reference, res, readers mirrors.Resolution) {
	if !res.Differs(readers) {
		return
	}
	var from []mirrors.Entry
	for _, r := range []mirrors.Resolution{res, readers} {
		if r.Rule != nil {
			from = append(from, r.Rule.From...)
		}
	}
	by := "no source"
	if readers.Rule != nil {
		by = fmt.Sprintf("source %q", readers.Rule.Source)
	}
	fmt.Fprintf(stderr, "warning: RuntimesDiffer: %s: image %s: CRI-O and Podman find %s and %s\n", mirrors.Names(from), ref, by, outcome(readers))
}

func outcome(res mirrors.Resolution) string {
	switch {
	case res.Fails != "":
		return "fail to pull it, because " + res.Fails
	case len(res.PullSources) == 0:
		return "refuse it"
	}
	locations := make([]string, len(res.PullSources))
	for i, s := range res.PullSources {
		locations[i] = s.Location
	}
	return "pull it from " + strings.Join(locations, ", then ")
}

func printJSON(out io.Writer, image string, res mirrors.Resolution) error {
	e := explanation{Image: image, Blocked: res.Blocked, PullSources: []pullSource{}}
	if res.Rule != nil {
		e.Source = res.Rule.Source
	}
	for _, s := range res.PullSources {
		e.PullSources = append(e.PullSources, pullSource{Location: s.Location, From: mirrors.Objects(s.From)})
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(e)
}

func printTable(out io.Writer, ref mirrors.Reference, res mirrors.Resolution) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "Image:   %s\n", ref)
	if res.Rule == nil {
		fmt.Fprintln(&text, "Source:  no set has a matching source")
	} else {
		fmt.Fprintf(&text, "Source:  %s (%s)\n", res.Rule.Source, mirrors.Names(res.Rule.From))
	}
	if res.Blocked {
		fmt.Fprintf(&text, "Blocked: the source is never contacted, says %s\n", mirrors.Names(res.Rule.BlockedBy))
	}
	if res.Rule != nil && !ref.ByDigest {
		fmt.Fprintln(&text, "Mirrors: none are used, because the image is not named by digest")
	}
	fmt.Fprintln(&text)
	if len(res.PullSources) == 0 {
		fmt.Fprintln(&text, "The pull is refused.")
	} else if err := printPullSources(&text, res.PullSources); err != nil {
		return err
	}
	_, err := text.WriteTo(out)
	return err
}

func printPullSources(out io.Writer, sources []mirrors.PullSource) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "ORDER\tPULL SOURCE\tFROM")
	for i, s := range sources {
		from := mirrors.Names(s.From)
		if from == "" {
			from = "<image reference>"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\n", i+1, s.Location, from)
	}
	return table.Flush()
}
