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
		Args: cobra.ExactArgs(1),
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
			res := mirrors.NewIndex(result.Rules).Resolve(ref)
			printWarnings(cmd.ErrOrStderr(), touching(res, result.Findings))
			if rule := res.PortIgnored; rule != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: PortIgnored: %s: CRI-O and Podman use source %q here, although the image names another port of that host; "+
					"containerd does not\n", names(rule.From), rule.Source)
			}
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

// touching returns the findings about the source that decides.
func touching(res mirrors.Resolution, findings []mirrors.Finding) []mirrors.Finding {
	var touched []mirrors.Finding
	for _, f := range findings {
		if res.Rule != nil && f.Source == res.Rule.Source {
			touched = append(touched, f)
		}
	}
	return touched
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
		fmt.Fprintf(&text, "Source:  %s (%s)\n", res.Rule.Source, names(res.Rule.From))
	}
	if res.Blocked {
		fmt.Fprintf(&text, "Blocked: the source is never contacted, says %s\n", names(res.Rule.BlockedBy))
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
		from := names(s.From)
		if from == "" {
			from = "<image reference>"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\n", i+1, s.Location, from)
	}
	return table.Flush()
}

func names(entries []mirrors.Entry) string {
	return strings.Join(mirrors.Objects(entries), ", ")
}
