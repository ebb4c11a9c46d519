// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package render is the verb that shows what nodes would read: the registries.conf of CRI-O and Podman, or containerd's files.
package render

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/shadow"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/plugin/runtimes"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// What render can write.
const (
	registriesConf = "registries.conf"
	certsD         = "certs.d"
)

// options are those of one run.
type options struct {
	files            manifests.Flags
	format           output.Format
	dir              string
	port             int
	allowDefaultHost bool
}

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "render -f FILE|DIR|-",
		Short: "Print the registries.conf that manifests become, or write containerd's certs.d",
		Long: "Print the registries.conf that manifests become to standard output, or write the tree of hosts.toml files that " +
			"containerd is configured with below --output-dir. What is odd about the sets goes to standard error as " +
			"\"warning: <Reason>: <object>: <text>\".",
		Example: "  kubectl mirrors render -f config/samples/\n" +
			"  kubectl get idms,itms -o yaml | kubectl mirrors render -f -\n" +
			"  kubectl mirrors render -f config/samples/ -o certs.d --output-dir certs.d",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unexpected argument %q: name files with -f", args[0])
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              o.run,
	}
	o.files.AddFilename(cmd)
	o.files.AddInsecure(cmd)
	o.format.AddFlag(cmd, registriesConf, certsD)
	cmd.Flags().StringVar(&o.dir, "output-dir", "", "for certs.d: the folder to write to; files in it that are not Mirrorset's are never changed")
	cmd.Flags().IntVar(&o.port, "redirector-port", runtimes.DefaultRedirectorPort, "for certs.d: port of 127.0.0.1 on which the redirector serves containerd")
	command.CompleteFolders(cmd, "output-dir")
	command.CompleteWith(cmd, "redirector-port")
	runtimes.AddDefaultHostFlag(cmd, &o.allowDefaultHost)
	return cmd
}

func (o *options) run(cmd *cobra.Command, _ []string) error {
	if err := o.format.Check(); err != nil {
		return err
	}
	switch {
	case o.format.Name == certsD && o.dir == "":
		return errors.New("-o certs.d: name the folder to write to with --output-dir")
	case o.format.Name != certsD && o.dir != "":
		return errors.New("--output-dir is for -o certs.d; registries.conf goes to standard output")
	case o.port < 1 || o.port > 65535:
		return fmt.Errorf("--redirector-port=%d: want a port, from 1 to 65535", o.port)
	}
	sets, err := o.files.Read(cmd)
	if err != nil {
		return err
	}
	result, err := o.files.Merge(sets)
	if err != nil {
		return err
	}
	if o.format.Name == certsD {
		return o.writeTree(cmd, result)
	}
	text, err := registriesconf.Encode(result.Rules)
	if err != nil {
		return err
	}
	output.Warn(cmd.ErrOrStderr(), result.Findings)
	_, err = cmd.OutOrStdout().Write(text)
	return err
}

func (o *options) writeTree(cmd *cobra.Command, result mirrors.Result) error {
	folder, err := openFolder(o.dir)
	if err != nil {
		return err
	}
	defer folder.close()
	tree := certsd.Project(result.Rules, certsd.Node{
		Redirector: runtimes.RedirectorAddress(o.port), AllowDefaultHost: o.allowDefaultHost, Certificates: folder.tree.Certificates,
		Watched: shadow.Sources(&result),
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
	folder.nameHiding(cmd.ErrOrStderr(), result.Rules)
	return folder.nameStale(cmd.ErrOrStderr(), tree.Files)
}

// entriesOfHost returns what brought the rules of a host, of a wildcard, or of all wildcards.
func entriesOfHost(rules []mirrors.Rule, host string) []mirrors.Entry {
	var from []mirrors.Entry
	for i := range rules {
		if s := rules[i].Source; s.Host() == host || host == certsd.DefaultHost && s.IsWildcard() {
			from = append(from, rules[i].From...)
		}
	}
	return from
}
