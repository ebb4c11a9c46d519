// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

func newRenderCommand() *cobra.Command {
	var in input
	cmd := &cobra.Command{
		Use:   "render -f FILE|DIR|-",
		Short: "Print the registries.conf that manifests become",
		Long: "Print the registries.conf that manifests become to standard output, and what is odd about them to standard " +
			"error as \"warning: <Reason>: <object>: <text>\".",
		Example: "  kubectl mirrors render -f config/samples/\n" +
			"  kubectl get idms -o yaml | kubectl mirrors render -f -",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unexpected argument %q: name files with -f", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := in.merge(cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			text, err := registriesconf.Encode(result.Rules)
			if err != nil {
				return err
			}
			printWarnings(cmd.ErrOrStderr(), result.Findings)
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	in.addFlags(cmd)
	return cmd
}

func printWarnings(stderr io.Writer, findings []mirrors.Finding) {
	for _, f := range findings {
		where := ""
		if path := f.Path(); path != "" {
			where = path + ": "
		}
		fmt.Fprintf(stderr, "warning: %s: %s: %s%s\n", f.Reason, mirrors.Names(f.Entries), where, f.Message)
	}
}
