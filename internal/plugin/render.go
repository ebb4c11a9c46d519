// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/containerd"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// What render can write.
const (
	registriesConf = "registries.conf"
	certsD         = "certs.d"
)

// renderer is one run of render.
type renderer struct {
	input
	format           output.Format
	dir              string
	port             int
	allowDefaultHost bool
}

func newRenderCommand() *cobra.Command {
	var r renderer
	cmd := &cobra.Command{
		Use:   "render -f FILE|DIR|-",
		Short: "Print the registries.conf that manifests become, or write containerd's certs.d",
		Long: "Print the registries.conf that manifests become to standard output, or write the tree of hosts.toml files that " +
			"containerd is configured with below --output-dir. What is odd about the sets goes to standard error as " +
			"\"warning: <Reason>: <object>: <text>\".",
		Example: "  kubectl mirrors render -f config/samples/\n" +
			"  kubectl get idms -o yaml | kubectl mirrors render -f -\n" +
			"  kubectl mirrors render -f config/samples/ -o certs.d --output-dir certs.d",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unexpected argument %q: name files with -f", args[0])
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              r.run,
	}
	r.addFlags(cmd)
	r.format.AddFlag(cmd, registriesConf, certsD)
	cmd.Flags().StringVar(&r.dir, "output-dir", "", "for certs.d: the folder to write to; files in it that are not Mirrorset's are never changed")
	cmd.Flags().IntVar(&r.port, "redirector-port", defaultRedirectorPort, "for certs.d: port of 127.0.0.1 on which containerd finds the redirector")
	command.CompleteFolders(cmd, "output-dir")
	command.CompleteWith(cmd, "redirector-port")
	addDefaultHostFlag(cmd, &r.allowDefaultHost)
	return cmd
}

func (r *renderer) run(cmd *cobra.Command, _ []string) error {
	if err := r.format.Check(); err != nil {
		return err
	}
	format := r.format.Name
	switch {
	case format == certsD && r.dir == "":
		return errors.New("-o certs.d: name the folder to write to with --output-dir")
	case format != certsD && r.dir != "":
		return errors.New("--output-dir is for -o certs.d; registries.conf goes to standard output")
	case r.port < 1 || r.port > 65535:
		return fmt.Errorf("--redirector-port=%d: want a port, from 1 to 65535", r.port)
	}
	result, err := r.merge(cmd.InOrStdin(), cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if format == certsD {
		return r.writeTree(cmd, result)
	}
	text, err := registriesconf.Encode(result.Rules)
	if err != nil {
		return err
	}
	output.Warn(cmd.ErrOrStderr(), result.Findings)
	_, err = cmd.OutOrStdout().Write(text)
	return err
}

func (r *renderer) writeTree(cmd *cobra.Command, result mirrors.Result) error {
	folder, err := openFolder(r.dir)
	if err != nil {
		return err
	}
	defer folder.close()
	tree := containerd.Project(result.Rules, containerd.Node{
		Redirector: redirectorAddress(r.port), AllowDefaultHost: r.allowDefaultHost, Certificates: folder.certificates,
	})
	if err := folder.refuseForeign(tree.Files); err != nil {
		return err
	}
	output.Warn(cmd.ErrOrStderr(), result.Findings)
	for _, p := range tree.Pending {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: NotInForce: %s: %q has no file: %s\n", mirrors.Names(entriesOfHost(result.Rules, p.Host)), p.Host, p.Reason)
	}
	ours := folder.leaveForeign(cmd.ErrOrStderr(), result.Rules, tree.Files)
	if err := folder.write(cmd.OutOrStdout(), ours); err != nil {
		return err
	}
	if err := folder.nameHiding(cmd.ErrOrStderr(), result.Rules); err != nil {
		return err
	}
	return folder.nameStale(cmd.ErrOrStderr(), tree.Files)
}

// entriesOfHost returns what brought the rules of a host, of a wildcard, or of all wildcards.
func entriesOfHost(rules []mirrors.Rule, host string) []mirrors.Entry {
	var from []mirrors.Entry
	for i := range rules {
		if of := hostOf(rules[i].Source); of == host || host == containerd.DefaultHost && strings.HasPrefix(of, "*") {
			from = append(from, rules[i].From...)
		}
	}
	return from
}
