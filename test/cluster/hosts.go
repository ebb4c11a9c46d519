// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeHosts gives the node an /etc/hosts of its own, which is the machine's and then [Options.Hosts].
func (c *Cluster) writeHosts() error {
	if len(c.options.Hosts) == 0 {
		return nil
	}
	machine, err := os.ReadFile("/etc/hosts")
	if err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString(strings.TrimSuffix(string(machine), "\n") + "\n")
	for _, name := range slices.Sorted(maps.Keys(c.options.Hosts)) {
		fmt.Fprintf(&text, "%s %s\n", c.options.Hosts[name], name)
	}
	return errors.Join(os.WriteFile(c.inside("/etc/hosts"), []byte(text.String()), 0o644), c.trustOwn())
}

// trustOwn has the node trust the cluster's authority in addition to those that the machine trusts.
func (c *Cluster) trustOwn() error {
	bundle := c.inside("/etc/ssl/certs/ca-certificates.crt")
	machine, err := os.ReadFile(bundle)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	own, err := os.ReadFile(c.ca.path("ca.crt"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(bundle), 0o755); err != nil {
		return err
	}
	return os.WriteFile(bundle, append(own, machine...), 0o644)
}

// inside returns where this process finds any file of the node, in memory or not.
func (c *Cluster) inside(path string) string {
	return fmt.Sprintf("/proc/%d/root%s", c.InitPID(), path)
}

// environment is that of all programs on the node.
func (c *Cluster) environment() []string {
	return []string{"PATH=" + c.options.Programs + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
}

// Certificate returns a new one for a server with these names.
func (c *Cluster) Certificate(names ...string) (tls.Certificate, error) {
	certificate, key, err := c.ca.server("mirrorset-test-server", nil, names...)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certificate, key)
}

// Socket returns where this process finds a Unix socket of the node.
func (c *Cluster) Socket(path string) string { return c.inside(path) }
