// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package convert is the verb that converts the mirror configuration of other programs into sets.
package convert

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/validation"

	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
)

// options are those of one run.
type options struct {
	files manifests.Flags
	name  string
	never bool
}

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "convert -f FILE|DIR|-",
		Short: "Convert the mirror configuration of other programs into mirror sets",
		Long: `Convert the mirror configuration of other programs, and print it as ImageDigestMirrorSets and
ImageTagMirrorSets. The input can be:
- ImageContentSourcePolicies and the install-config.yaml of OpenShift
- the registries.yaml of k3s and RKE2
- the machine configuration of Talos
- a registries.conf with its drop-ins
- a folder of containerd's hosts.toml files

The sets have the same mirrors in the same order for each image. convert leaves out a source where that
is not possible, and prints "warning: NotConverted: <where>: <text>" to standard error. It needs no
cluster.

Exit codes:
- 0: everything was converted
- 1: something was left out, or an error`,
		Example: "  kubectl get imagecontentsourcepolicies -o yaml | kubectl mirrors convert -f -\n" +
			"  kubectl mirrors convert -f /etc/rancher/k3s/registries.yaml --name 10-site\n" +
			"  kubectl mirrors convert -f /etc/containers/registries.conf\n" +
			"  kubectl mirrors convert -f /etc/containerd/certs.d",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              o.run,
	}
	o.files.AddFilename(cmd)
	cmd.Flags().StringVar(&o.name, "name", "registries", "name for the resulting sets where the file has no name, or a name that an API server refuses")
	command.CompleteWith(cmd, "name")
	cmd.Flags().BoolVar(&o.never, "never-contact-source", false, "the k3s or RKE2 nodes run with disable-default-registry-endpoint: block each registry that has mirrors")
	return cmd
}

func (o *options) run(cmd *cobra.Command, _ []string) error {
	if reasons := validation.NameIsDNSSubdomain(o.name, false); len(reasons) > 0 {
		return fmt.Errorf("--name %q: an API server refuses this name; use lower-case letters, digits, \"-\" and \".\", with a letter or a digit at each end, such as %q", o.name, repaired(o.name))
	}
	c := &converter{never: o.never, recursive: o.files.Recursive}
	others, err := c.readRuntimes(cmd, o.files.Filenames)
	if err != nil {
		return err
	}
	tookAll := len(o.files.Filenames) > 0 && len(others) == 0
	if o.files.Filenames = others; !tookAll {
		if err := o.files.EachDocument(cmd, c.readDocument); err != nil {
			return err
		}
	}
	if c.k3s == 0 {
		if err := command.OnlyWith(cmd, "a registries.yaml", "never-contact-source"); err != nil {
			return err
		}
	}
	if err := c.refuse(); err != nil {
		return err
	}
	if err := c.settle(); err != nil {
		return err
	}
	if err := c.nameSets(o.name, cmd.Flags().Changed("name")); err != nil {
		return err
	}
	return c.print(cmd)
}

// repaired is the nearest name that an API server takes.
func repaired(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	labels := strings.FieldsFunc(plain, func(r rune) bool { return r == '.' })
	for i, label := range labels {
		labels[i] = strings.Trim(label, "-")
	}
	plain = strings.Join(labels, ".")
	if len(validation.NameIsDNSSubdomain(plain, false)) > 0 {
		return "registries"
	}
	return plain
}
