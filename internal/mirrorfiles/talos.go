// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// TalosVersion is the apiVersion of the documents of Talos.
const TalosVersion = "v1alpha1"

// TalosKinds are the kinds of documents that say something of registries.
var TalosKinds = []string{"RegistryMirrorConfig", "RegistryTLSConfig", "RegistryAuthConfig"}

// talosDocument is one of [TalosKinds] (https://docs.siderolabs.com/talos, reference/configuration/cri).
type talosDocument struct {
	APIVersion   string          `json:"apiVersion"`
	Kind         string          `json:"kind"`
	Name         string          `json:"name"`
	Endpoints    []talosEndpoint `json:"endpoints"`
	SkipFallback bool            `json:"skipFallback"`
	talosTLS
	talosAuth
}

// talosAuth can contain secrets. None is kept.
type talosAuth struct {
	Username      *secret `json:"username"`
	Password      *secret `json:"password"`
	Auth          *secret `json:"auth"`
	IdentityToken *secret `json:"identityToken"`
}

type talosEndpoint struct {
	URL          string `json:"url"`
	OverridePath bool   `json:"overridePath"`
}

type talosTLS struct {
	CA                 *secret `json:"ca"`
	ClientIdentity     *secret `json:"clientIdentity"`
	InsecureSkipVerify bool    `json:"insecureSkipVerify"`
}

// talosMachine is a machine configuration, as far as it is about registries.
type talosMachine struct {
	Machine struct {
		Registries struct {
			Mirrors map[string]*struct {
				Endpoints    []string `json:"endpoints"`
				OverridePath bool     `json:"overridePath"`
				SkipFallback bool     `json:"skipFallback"`
			} `json:"mirrors"`
			Config map[string]*struct {
				TLS  talosTLS   `json:"tls"`
				Auth *talosAuth `json:"auth"`
			} `json:"config"`
		} `json:"registries"`
	} `json:"machine"`
}

// refuseUnknown says which fields Talos does not take. at begins the names of those that are about registries.
func (c *Content) refuseUnknown(fields []string, at string) {
	for _, field := range fields {
		if strings.HasPrefix(field, `unknown field "`+at) {
			c.lose("%s: Talos refuses a configuration with it, and a set cannot hold it; correct its name, or remove it", field)
		}
	}
}

// TalosDocument reads one of [TalosKinds], in JSON.
func TalosDocument(data []byte) (*Content, error) {
	var d talosDocument
	unknown, err := Decode(data, &d)
	if err != nil {
		return nil, err
	}
	c := &Content{}
	c.refuseUnknown(unknown, "")
	switch d.Kind {
	case "RegistryMirrorConfig":
		c.addTalos(d.Name, d.Endpoints, d.SkipFallback)
	case "RegistryTLSConfig":
		c.tlsTalos(d.Name, d.talosTLS)
	case "RegistryAuthConfig":
		c.credentials(d.Name)
	}
	return c, nil
}

// TalosMachine reads a machine configuration, in JSON.
func TalosMachine(data []byte) (*Content, error) {
	var m talosMachine
	unknown, err := Decode(data, &m)
	if err != nil {
		return nil, err
	}
	c, registries := &Content{}, m.Machine.Registries
	c.refuseUnknown(unknown, "machine.registries.")
	for _, host := range slices.Sorted(maps.Keys(registries.Mirrors)) {
		mirror := registries.Mirrors[host]
		if mirror == nil {
			c.leaveOut(host, errors.New("there is no endpoint"))
			continue
		}
		var endpoints []talosEndpoint
		for _, address := range mirror.Endpoints {
			endpoints = append(endpoints, talosEndpoint{URL: address, OverridePath: mirror.OverridePath})
		}
		c.addTalos(host, endpoints, mirror.SkipFallback)
	}
	for _, host := range slices.Sorted(maps.Keys(registries.Config)) {
		if config := registries.Config[host]; config != nil {
			c.tlsTalos(host, config.TLS)
			if config.Auth != nil {
				c.credentials(host)
			}
		}
	}
	return c, nil
}

func (c *Content) tlsTalos(host string, tls talosTLS) {
	c.tls(host, tls.InsecureSkipVerify, tls.CA != nil || tls.ClientIdentity != nil)
}

// addTalos adds a registry as the containerd of Talos is told of it.
func (c *Content) addTalos(host string, endpoints []talosEndpoint, skipFallback bool) {
	r := &registry{host: host}
	for _, e := range endpoints {
		c.hostSettings(host, e.URL, hostTable{})
	}
	err := func() error {
		switch {
		case host == "*":
			return errors.New("no source matches all registries; name the registries that images come from")
		case len(endpoints) == 0:
			return errors.New("there is no endpoint")
		}
		for _, e := range endpoints {
			if err := r.addHost(e.URL, hostTable{Capabilities: []string{"pull", "resolve"}, OverridePath: e.OverridePath}); err != nil {
				return fmt.Errorf("%w (overridePath: %t)", err, e.OverridePath)
			}
		}
		return nil
	}()
	if err != nil {
		c.leaveOut(host, err)
		return
	}
	if !skipFallback {
		r.endpoints = append(r.endpoints, endpoint{location: host, modes: both})
	}
	c.addRegistry(*r)
}
