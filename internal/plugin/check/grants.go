// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/grants/onhost"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
)

// learnGrants reads what the cluster grants its nodes for mirrors, where these are to be used.
func (o *options) learnGrants(cmd *cobra.Command, c *cluster.Cluster, rules []mirrors.Rule) error {
	if !o.asNodes {
		return nil
	}
	granted, err := c.Grants(cmd.Context(), cmd.ErrOrStderr())
	if err != nil {
		return fmt.Errorf("--cluster-credentials: %w", err)
	}
	o.registry.Grants = &granted
	may, sources := onhost.Mirrors(rules)
	for _, place := range sources {
		if granted.Concern(place) {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: MirrorGrantsFile: mirror %s is a source too, or holds one, or lies in one, so nodes with CRI-O have no login and no authority for it; nodes with containerd have\n", place)
		}
	}
	logins, authorities := granted.Unused(slices.Concat(may, sources))
	warnOfUnused(cmd.ErrOrStderr(), "Secret "+grants.CredentialsName, logins)
	warnOfUnused(cmd.ErrOrStderr(), "ConfigMap "+grants.AuthoritiesName, authorities)
	return nil
}

// warnOfUnused names the keys of one of the two objects that are for no mirror.
func warnOfUnused(stderr io.Writer, object string, keys []string) {
	for _, key := range keys {
		fmt.Fprintf(stderr, "warning: MirrorGrants: %s, key %q: no set names a mirror there, so the key is not used\n", object, key)
	}
}
