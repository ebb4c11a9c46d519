// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// Parse returns the endpoints that containerd, of any version since 1.6, reads from a registry's hosts.toml, in the order in which it uses them.
// Parse is strict. It fails if one version would ignore the file, which silently opens the source (N3), if the versions disagree, or if there is more
// than [Project] writes.
func Parse(host string, content []byte) ([]Endpoint, error) {
	if bytes.ContainsRune(content, '\\') {
		return nil, errors.New("hosts.toml: the file has a backslash, but containerd 1.6 does not decode an escape in a heading")
	}
	var top map[string]any
	if err := toml.Unmarshal(content, &top); err != nil {
		return nil, fmt.Errorf("hosts.toml: %w", err)
	}
	tables, err := tablesInOrder(content)
	if err != nil {
		return nil, fmt.Errorf("hosts.toml: %w", err)
	}
	if len(tables) == 0 {
		return nil, errors.New("hosts.toml: the file has no host table, so containerd 1.6 ignores it")
	}
	settings, _ := top["host"].(map[string]any)
	delete(top, "host")
	hosts := make([]Endpoint, 0, len(tables)+1)
	for _, name := range tables {
		table, ok := settings[name].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("hosts.toml: host %s is not a table", quote(name))
		}
		e, err := parseEndpoint(name, table)
		if err != nil {
			return nil, fmt.Errorf("hosts.toml: host %s: %w", quote(name), err)
		}
		hosts = append(hosts, e)
	}
	if host == DefaultHost && len(top) == 0 {
		return append(hosts, Endpoint{}), nil // containerd puts the source in its place, whichever that is
	}
	server, _ := top["server"].(string) // without one, containerd would do the same
	delete(top, "server")
	last, err := parseEndpoint(server, top)
	if err != nil {
		return nil, fmt.Errorf("hosts.toml: server %s: %w", quote(server), err)
	}
	return append(hosts, last), nil
}

// tablesInOrder returns the names of the host tables. containerd 2 finds them by their headings, so it ignores a table in any other form, such as
// inline. It also counts a table twice that is continued after another.
func tablesInOrder(content []byte) ([]string, error) {
	var names []string
	var p unstable.Parser
	p.Reset(content)
	for p.NextExpression() {
		e := p.Expression()
		var key []string
		for it := e.Key(); it.Next(); {
			key = append(key, string(it.Node().Data))
		}
		switch {
		case e.Kind == unstable.KeyValue && len(key) == 1:
		case e.Kind == unstable.Table && len(key) == 2 && key[0] == "host":
			names = append(names, key[1])
		default:
			return nil, fmt.Errorf("%s is neither a setting nor the heading of a host table", quote(strings.Join(key, ".")))
		}
	}
	return names, p.Error()
}

func parseEndpoint(url string, settings map[string]any) (Endpoint, error) {
	e := Endpoint{Path: route.APIRoot}
	overridePath, resolves := false, false
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		var ok bool
		switch value := settings[key]; key {
		case "capabilities":
			list, isList := value.([]any)
			e.DigestOnly = isList && slices.Equal(list, []any{"pull"})
			resolves = isList && slices.Equal(list, []any{"pull", "resolve"})
			ok = e.DigestOnly || resolves
		case "override_path":
			overridePath, ok = value.(bool)
		case "skip_verify":
			e.SkipVerify, ok = value.(bool)
		case "ca":
			e.CA, ok = parseFiles(value)
		case "client":
			e.Client, ok = parsePairs(value)
		}
		if !ok {
			return e, fmt.Errorf("setting %s, or its value, is not one that Mirrorset writes", quote(key))
		}
	}
	if err := e.parseURL(url, overridePath); err != nil {
		return e, err
	}
	return e, e.check(resolves)
}

// parseFiles reads a list of the names of files next to the hosts.toml.
func parseFiles(value any) (names []string, ok bool) {
	list, ok := value.([]any)
	for _, element := range list {
		name, isText := element.(string)
		if !isText || !fileRegexp.MatchString(name) {
			return nil, false
		}
		names = append(names, name)
	}
	return names, ok && len(names) > 0
}

func parsePairs(value any) (pairs [][2]string, ok bool) {
	list, ok := value.([]any)
	for _, element := range list {
		pair, isPair := parseFiles(element)
		if !isPair || len(pair) != 2 {
			return nil, false
		}
		pairs = append(pairs, [2]string(pair))
	}
	return pairs, ok && len(pairs) > 0
}

// parseURL fills in the address. containerd appends the API's root to a path unless override_path is set, which we always set for a path.
func (e *Endpoint) parseURL(url string, overridePath bool) error {
	scheme, location, ok := strings.Cut(url, "://")
	if !ok || scheme != "https" && scheme != "http" {
		return errors.New("the address begins with neither https:// nor http://")
	}
	host, path := mirrors.Scope(location).Host(), mirrors.Scope(location).Path()
	e.Scheme, e.Host = scheme, host
	if overridePath {
		e.Path = path
	} else if path != "" {
		return errors.New("the address has a path, but override_path is not set")
	}
	return nil
}

// check compares an endpoint with what [Project] writes.
func (e *Endpoint) check(resolves bool) error {
	if e.Scheme == "http" && (e.SkipVerify || !e.isEmpty()) {
		return errors.New("the address is http:// with a TLS setting, and some versions of containerd try HTTPS first then")
	}
	if _, entry, below, ok := route.CutPath(e.Path); ok {
		_, isRank := entry.Rank()
		if !entry.IsValid() || below != "" || e.Scheme != "http" || !route.IsLoopback(e.Host) || e.DigestOnly == resolves || e.DigestOnly && !isRank {
			return errors.New("the entry of the redirector is not as Mirrorset writes it")
		}
		return nil
	}
	e.NoPush = resolves
	if below, ok := strings.CutPrefix(e.Path, route.APIRoot+"/"); ok {
		return checkLocation(e.Host + "/" + below)
	}
	if e.Path != route.APIRoot {
		return fmt.Errorf("the path of the address is not below %s", route.APIRoot)
	}
	return checkLocation(e.Host)
}

// checkLocation checks the location against the grammar (section 0). With that grammar, a URL has only its literal meaning.
func checkLocation(location string) error {
	rule := mirrors.Rule{Source: mirrors.Scope(location)}
	if strings.HasPrefix(location, "*") || rule.Validate() != nil {
		return fmt.Errorf("%s is not host[:port][/path]", quote(location))
	}
	return nil
}

// Closes reports if containerd, with this hosts.toml, never contacts the registry by itself.
func Closes(host string, content []byte) bool {
	endpoints, err := Parse(host, content)
	return err == nil && !slices.ContainsFunc(endpoints, func(e Endpoint) bool {
		return e.Host == "" || e.Host == route.Registry(host)
	})
}

// Depends reports if containerd, with this hosts.toml, contacts only the redirector. Then nothing can be pulled from the registry while the
// redirector is away.
func Depends(host string, content []byte) bool {
	endpoints, err := Parse(host, content)
	return err == nil && DependOnRedirector(endpoints)
}

// DependOnRedirector is [Depends] for the endpoints of a hosts.toml.
func DependOnRedirector(endpoints []Endpoint) bool {
	return !slices.ContainsFunc(endpoints, func(e Endpoint) bool { return !e.isRedirector() })
}
