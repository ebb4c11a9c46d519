// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// health is what a check comes to. The smaller, the worse.
type health int

// The healths.
const (
	// wrong: something does not do what it should, or nothing tells whether it does.
	wrong health = iota
	// odd: somebody should look at it; what was asked for is in force all the same, or will be in a moment.
	odd
	// fine: nothing is to be done.
	fine
)

func (h health) String() string {
	return [...]string{"PROBLEM", "WARNING", "OK"}[h]
}

// MarshalText writes the name.
func (h health) MarshalText() ([]byte, error) {
	return []byte(h.String()), nil
}

// diagnosis is what one check found.
type diagnosis struct {
	Health health `json:"status"`
	// Subject is what was looked at, as in node/node-1.
	Subject string `json:"subject"`
	// Message says what was found.
	Message string `json:"message"`
	// Remedy says what to do; it can have several lines.
	Remedy string `json:"remedy,omitempty"`
}

// diagnoses are those of one run.
type diagnoses []diagnosis

func (d *diagnoses) add(h health, subject, message, remedy string) {
	*d = append(*d, diagnosis{h, subject, message, remedy})
}

func (d diagnoses) count(h health) (count int) {
	for i := range d {
		if d[i].Health == h {
			count++
		}
	}
	return count
}

// doctorVerb looks for what is wrong.
type doctorVerb struct {
	format output.Format
	flags  clusterFlags
	local  bool
	here   machine

	out, stderr io.Writer
}

func newDoctorCommand() *cobra.Command {
	v := &doctorVerb{flags: newClusterFlags()}
	cmd := &cobra.Command{
		Use:   "doctor [NODE]",
		Short: "Look for what is wrong with Mirrorset in the cluster, on a node or on this machine, and say what to do",
		Long: "Look for what is wrong with Mirrorset, and say what to do about it: in the whole cluster, on one node by what its agent " +
			"reports, or with --local on this machine by its own files, for which no cluster is needed. The exit code is 0 if nothing " +
			"is wrong, 1 if something is or cannot be told, and 2 after an error.",
		Example: "  kubectl mirrors doctor\n" +
			"  kubectl mirrors doctor node-1\n" +
			"  kubectl-mirrors doctor --local",
		Args:        cobra.MaximumNArgs(1),
		Annotations: map[string]string{command.ErrorCode: "2"},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 || v.local {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return v.flags.completeNodes(cmd, args, start)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			v.out, v.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			if !v.local {
				if err := command.OnlyWith(cmd, "--local", v.here.flags()...); err != nil {
					return err
				}
			}
			return v.run(cmd.Context(), args)
		},
	}
	v.flags.addFlags(cmd)
	v.format.AddFlag(cmd, "text", "json", "yaml")
	cmd.Flags().BoolVar(&v.local, "local", false, "look at the runtimes of this machine; no cluster is needed")
	v.here.addFlags(cmd)
	return cmd
}

func (v *doctorVerb) run(ctx context.Context, args []string) error {
	if err := v.format.Check(); err != nil {
		return err
	}
	var found diagnoses
	switch {
	case v.local && len(args) > 0:
		return fmt.Errorf("--local looks at this machine, and not at node %q", args[0])
	case v.local:
		if err := v.here.check(); err != nil {
			return err
		}
		found = v.here.diagnose()
	default:
		c, err := v.flags.connect()
		if err != nil {
			return err
		}
		if found, err = c.diagnose(ctx, args); err != nil {
			return err
		}
	}
	slices.SortStableFunc(found, func(a, b diagnosis) int { return cmp.Compare(a.Health, b.Health) })
	var err error
	if v.format.Name != "text" {
		err = output.Value(v.out, v.format.Name, map[string]any{"problems": found.count(wrong), "warnings": found.count(odd), "checks": found})
	} else {
		err = v.print(found)
	}
	if err == nil && found.count(wrong) > 0 {
		return command.Verdict(1)
	}
	return err
}

// print writes one paragraph a check. What follows its first line is indented.
func (v *doctorVerb) print(found diagnoses) error {
	for _, d := range found {
		message, more, _ := strings.Cut(d.Message, "\n")
		text := fmt.Sprintf("%-8s %s: %s\n", d.Health, d.Subject, harmless(message))
		for line := range strings.Lines(more + "\n" + d.Remedy) {
			if line = strings.TrimRight(line, "\n"); line != "" {
				text += "    " + harmless(line) + "\n"
			}
		}
		if _, err := io.WriteString(v.out, text); err != nil {
			return err
		}
	}
	problems, warnings := found.count(wrong), found.count(odd)
	summary := "Nothing is wrong."
	if problems+warnings > 0 {
		summary = fmt.Sprintf("%s, %s.", output.Plural(problems, "problem", "problems"), output.Plural(warnings, "warning", "warnings"))
	}
	fmt.Fprintln(v.stderr, summary)
	return nil
}

// harmless writes out what could do something to a terminal. What a node or a set says comes from others.
func harmless(line string) string {
	var text strings.Builder
	for _, r := range line {
		if unicode.IsPrint(r) {
			text.WriteRune(r)
			continue
		}
		text.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
	}
	return text.String()
}

// diagnose looks at a cluster, or at one of its nodes. An error is for a cluster that does not answer.
func (c *cluster) diagnose(ctx context.Context, only []string) (diagnoses, error) {
	p := patient{cluster: c}
	atNodes := func(ctx context.Context) error { return p.lookAtNodes(ctx, only) }
	looks := []func(context.Context) error{p.lookAtAPIs, p.lookAtManager, p.lookAtAgents, p.lookAtConfigMap, atNodes, p.lookAtSets}
	if len(only) > 0 {
		looks = []func(context.Context) error{p.lookAtAPIs, p.lookAtConfigMap, p.forgetFine, atNodes}
	}
	for _, look := range looks {
		if err := p.unlessRefused(look(ctx)); err != nil {
			return nil, err
		}
	}
	return p.found, nil
}

// forgetFine keeps what is not as it should be, for one who asks about something else.
func (p *patient) forgetFine(context.Context) error {
	p.found = slices.DeleteFunc(p.found, func(d diagnosis) bool { return d.Health == fine })
	return nil
}

// unlessRefused takes what the API server refused for a finding.
func (p *patient) unlessRefused(err error) error {
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		p.found.add(wrong, "access", err.Error(), "Ask as somebody who may read this: see --context and --as.")
	case apierrors.IsNotFound(err) && p.found.count(wrong) > 0: // the APIs were looked at, and are what is not there
	default:
		return err
	}
	return nil
}
