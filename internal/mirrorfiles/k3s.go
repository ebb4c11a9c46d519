// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// k3s is the registries.yaml of k3s and RKE2 (https://docs.k3s.io/installation/private-registry).
type k3s struct {
	Mirrors map[string]*k3sMirror `json:"mirrors"`
	Configs map[string]*k3sConfig `json:"configs"`
	Auths   map[string]any        `json:"auths"`
}

type k3sMirror struct {
	Endpoint []string          `json:"endpoint"`
	Rewrite  map[string]string `json:"rewrite"`
}

// k3sConfig can contain secrets. None is kept.
type k3sConfig struct {
	Auth *secret `json:"auth"`
	TLS  *struct {
		CAFile             string `json:"ca_file"`
		CertFile           string `json:"cert_file"`
		KeyFile            string `json:"key_file"`
		InsecureSkipVerify bool   `json:"insecure_skip_verify"`
	} `json:"tls"`
}

// secret is of any form, and forgotten.
type secret struct{}

// UnmarshalJSON keeps nothing.
func (*secret) UnmarshalJSON([]byte) error { return nil }

// K3s reads a registries.yaml, in JSON. never says that the nodes run with --disable-default-registry-endpoint.
func K3s(data []byte, never bool) (*Content, error) {
	var file k3s
	c := &Content{}
	unknown, err := Decode(data, &file)
	if err != nil {
		return nil, err
	}
	for _, field := range unknown {
		c.ignore("%s: k3s ignores it, and so does this conversion", field)
	}
	for _, host := range slices.Sorted(maps.Keys(file.Mirrors)) {
		if m := file.Mirrors[host]; m != nil && len(m.Endpoint) > 0 {
			c.addK3s(host, m, never)
		} else {
			c.lose("registry %q: it has no endpoint, so the output has no entry for it; a set cannot name the embedded registry of k3s as a mirror", host)
		}
	}
	for _, host := range slices.Sorted(maps.Keys(file.Auths)) {
		c.credentials(host)
	}
	for _, host := range slices.Sorted(maps.Keys(file.Configs)) {
		c.configK3s(host, file.Configs[host])
	}
	return c, nil
}

func (c *Content) addK3s(host string, m *k3sMirror, never bool) {
	if host == "*" {
		c.leaveOut(host, errors.New("no source matches all registries; name the registries that images come from"))
		return
	}
	rewrites, err := readRewrites(m.Rewrite)
	if err != nil {
		c.leaveOut(host, err)
		return
	}
	r := registry{host: host}
	for _, text := range m.Endpoint {
		u, err := readURL(text)
		if err != nil {
			c.leaveOut(host, err)
			return
		}
		if u.Path == "" || u.Path == "/" {
			u.Path = "/v2"
		}
		location, err := locate(host, u, u.Path)
		if err != nil {
			c.leaveOut(host, err)
			return
		}
		if u.Scheme == "http" || !strings.Contains(text, "://") && isPlainLocalhost(u.Hostname(), u.Port()) {
			c.insecure(fmt.Sprintf("http of endpoint %q", text), u.Host)
		}
		r.endpoints = append(r.endpoints, endpoint{location: location, modes: both, rewrites: rewrites})
	}
	if !never {
		r.endpoints = append(r.endpoints, endpoint{location: host, modes: both})
	}
	c.addRegistry(r)
}

// isPlainLocalhost reports whether k3s contacts an endpoint without a scheme over plain HTTP.
func isPlainLocalhost(host, port string) bool {
	return (host == "localhost" || strings.HasPrefix(host, "127.")) && port != "" && port != "443"
}

func (c *Content) configK3s(host string, config *k3sConfig) {
	if config == nil {
		return
	}
	if config.Auth != nil {
		c.credentials(host)
	}
	if config.TLS != nil {
		c.tls(host, config.TLS.InsecureSkipVerify, config.TLS.CAFile != "" || config.TLS.CertFile != "" || config.TLS.KeyFile != "")
	}
}

// tls says where the TLS settings of a host belong, which may stand for each host.
func (c *Content) tls(of string, skip, files bool) {
	host, each := of, ""
	if _, rest, ok := strings.Cut(host, "://"); ok {
		host, _, _ = strings.Cut(rest, "/")
	}
	if _, err := mirrors.ParseScopes([]string{host}); err != nil {
		host, each = "HOST", ", for each mirror concerned"
	}
	if skip {
		c.elsewhere("insecure_skip_verify of %q: %s%s", of, howInsecure(host), each)
	}
	if files {
		c.elsewhere("TLS files of %q: put them into /etc/containers/certs.d/%s on each node%s", of, host, each)
	}
}
