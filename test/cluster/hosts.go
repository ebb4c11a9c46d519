// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"crypto/tls"
	"fmt"
	"maps"
	"os"
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
	return os.WriteFile(c.inside("/etc/hosts"), []byte(text.String()), 0o644)
}

// inside returns where this process finds any file of the node, in memory or not.
func (c *Cluster) inside(path string) string {
	return fmt.Sprintf("/proc/%d/root%s", c.InitPID(), path)
}

// environment is that of all programs on the node.
func (c *Cluster) environment() []string {
	environment := []string{"PATH=" + c.options.Programs + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if len(c.options.Hosts) > 0 {
		environment = append(environment, "SSL_CERT_FILE="+c.ca.path("ca.crt"))
	}
	return environment
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
