// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// hostsFile is a hosts.toml of containerd (https://github.com/containerd/containerd/blob/main/docs/hosts.md).
type hostsFile struct {
	Server string `toml:"server"`
	hostTable
	Hosts map[string]hostTable `toml:"host"`
}

// hostTable has what is said of one endpoint.
type hostTable struct {
	Capabilities []string          `toml:"capabilities"`
	CA           any               `toml:"ca"`
	Client       any               `toml:"client"`
	SkipVerify   bool              `toml:"skip_verify"`
	Header       map[string]any    `toml:"header"`
	OverridePath bool              `toml:"override_path"`
	DialTimeout  string            `toml:"dial_timeout"`
	Rewrite      map[string]string `toml:"rewrite"` // in the containerd of k3s
}

// Hosts reads the hosts.toml of a registry.
func Hosts(host string, content []byte) *Content {
	c := &Content{}
	r, err := c.readHosts(host, content)
	if host == "_default" {
		err = errors.New("it is for all registries without a folder of their own, but no source matches all registries; name the registries that images come from")
	}
	if err != nil {
		c.leaveOut(host, err)
		return c
	}
	c.addRegistry(*r)
	return c
}

func (c *Content) readHosts(host string, content []byte) (*registry, error) {
	var file hostsFile
	if err := toml.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("containerd ignores the file, because it cannot read %s", lineOf(err))
	}
	c.ignoreUnknown(content)
	names, err := tableNames(content)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, ok := file.Hosts[name]; !ok {
			return nil, fmt.Errorf("host %q is not a table", name)
		}
	}
	c.ignoreUnheaded(file, names)
	for _, name := range names {
		c.hostSettings(host, name, file.Hosts[name])
	}
	c.hostSettings(host, file.Server, file.hostTable)
	r := &registry{host: host}
	for _, name := range names {
		if err := r.addHost(name, file.Hosts[name]); err != nil {
			return nil, err
		}
	}
	if file.Server == "" {
		r.endpoints = append(r.endpoints, endpoint{location: host, modes: both}) // whatever else the file says of it
		return r, nil
	}
	return r, r.addHost(file.Server, file.hostTable)
}

// lineOf says where an error of TOML is, without what it says of our types.
func lineOf(err error) string {
	var at *toml.DecodeError
	if !errors.As(err, &at) {
		return "it"
	}
	line, _ := at.Position()
	return fmt.Sprintf("line %d", line)
}

// ignoreUnknown notes the settings that containerd does not know.
func (c *Content) ignoreUnknown(content []byte) {
	var unknown *toml.StrictMissingError
	if err := toml.NewDecoder(bytes.NewReader(content)).DisallowUnknownFields().Decode(&hostsFile{}); errors.As(err, &unknown) {
		for _, field := range unknown.Errors {
			c.ignore("unknown setting %q: containerd ignores it, and so does this conversion", strings.Join(field.Key(), "."))
		}
	}
}

// ignoreUnheaded notes the tables that containerd does not see.
func (c *Content) ignoreUnheaded(file hostsFile, names []string) {
	for _, name := range slices.Sorted(maps.Keys(file.Hosts)) {
		if !slices.Contains(names, name) {
			c.ignore("host %q has no heading of its own, so containerd ignores it", name)
		}
	}
}

// tableNames returns the endpoints by the headings of their tables, which is how containerd finds their order.
func tableNames(content []byte) (names []string, err error) {
	var p unstable.Parser
	p.Reset(content)
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.Table {
			continue
		}
		var key []string
		for it := e.Key(); it.Next(); {
			key = append(key, string(it.Node().Data))
		}
		if len(key) >= 2 && key[0] == "host" && !slices.Contains(names, key[1]) {
			names = append(names, key[1])
		}
	}
	return names, p.Error()
}

// addHost adds an endpoint as containerd understands it.
func (r *registry) addHost(address string, table hostTable) error {
	modes, err := modesOf(table.Capabilities)
	if err != nil {
		return err
	}
	rewrites, err := readRewrites(table.Rewrite)
	if err != nil {
		return err
	}
	u, err := readURL(address)
	if err != nil {
		return err
	}
	location, err := locate(r.host, u, apiRoot(u, table.OverridePath))
	if err != nil {
		return err
	}
	r.endpoints = append(r.endpoints, endpoint{location: location, modes: modes, rewrites: rewrites})
	return nil
}

// hostSettings says what a table has that no set holds, whether its registry gets an entry or not. A table without an address is about the
// registry itself.
func (c *Content) hostSettings(registry, address string, table hostTable) {
	what, u := fmt.Sprintf("endpoint %q", address), &url.URL{Host: registry}
	if address == "" {
		what, address = fmt.Sprintf("registry %q", registry), registry
	} else if read, err := readURL(address); err == nil {
		u = read
	} else {
		return // the registry is left out because of it
	}
	if table.SkipVerify || u.Scheme == "http" {
		c.insecure(what+" is reached without TLS checks", u.Host)
	}
	if table.CA != nil || table.Client != nil {
		c.tlsFiles(address, u.Host)
	}
	if len(table.Header) > 0 {
		c.elsewhere("headers for %s: a set cannot hold headers; if they are credentials, use pull secrets of Pods, or a credential provider of the kubelet", what)
	}
	if table.DialTimeout != "" {
		c.elsewhere("dial_timeout of %s: a set cannot hold it, so containerd uses its own", what)
	}
}

// modesOf returns what an endpoint is asked for: containerd resolves a tag only where it may pull too.
func modesOf(capabilities []string) (mirrors.Mode, error) {
	if len(capabilities) == 0 {
		return both, nil
	}
	for i, name := range capabilities {
		capabilities[i] = strings.ToLower(name)
		if !slices.Contains([]string{"pull", "resolve", "push", "referrers"}, capabilities[i]) {
			return 0, fmt.Errorf("containerd ignores the file, because the capability %q does not exist", name)
		}
	}
	switch {
	case !slices.Contains(capabilities, "pull"):
		return 0, nil
	case slices.Contains(capabilities, "resolve"):
		return both, nil
	}
	return mirrors.ByDigest, nil
}

// apiRoot returns the root of the registry's API at an endpoint, as containerd finds it.
func apiRoot(u *url.URL, override bool) string {
	switch {
	case override:
		return u.Path
	case u.Path == "":
		return "/v2"
	}
	if root := path.Clean(u.Path); strings.HasSuffix(root, "/v2") {
		return root
	}
	return path.Clean(u.Path) + "/v2"
}
