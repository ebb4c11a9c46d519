// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// registries is the registries.yaml of k3s and RKE2.
type registries struct {
	Mirrors map[string]*registryMirror `json:"mirrors"`
	Configs map[string]*registryConfig `json:"configs"`
	Auths   map[string]json.RawMessage `json:"auths"`
}

type registryMirror struct {
	Endpoint []string          `json:"endpoint"`
	Rewrite  map[string]string `json:"rewrite"`
}

// registryConfig has secrets, of which none is read.
type registryConfig struct {
	Auth json.RawMessage `json:"auth"`
	TLS  *struct {
		CAFile             string `json:"ca_file"`
		CertFile           string `json:"cert_file"`
		KeyFile            string `json:"key_file"`
		InsecureSkipVerify bool   `json:"insecure_skip_verify"`
	} `json:"tls"`
}

// registriesConverter makes entries of a registries.yaml for sets that have no name of their own.
type registriesConverter struct {
	*converter
}

// lose notes what does not carry over.
func (c registriesConverter) lose(format string, args ...any) {
	c.converter.lose(c.name, format, args...)
}

func (c registriesConverter) read(data []byte) error {
	c.named = true
	var r registries
	if err := manifests.UnmarshalStrict(data, &r); err != nil {
		return fmt.Errorf("registries.yaml: %w", err)
	}
	var entries []configv1.ImageDigestMirrors
	for _, host := range slices.Sorted(maps.Keys(r.Mirrors)) {
		entries = append(entries, c.entriesOf(host, r.Mirrors[host])...)
	}
	for _, host := range slices.Sorted(maps.Keys(r.Auths)) {
		c.loseCredentials(host)
	}
	for _, host := range slices.Sorted(maps.Keys(r.Configs)) {
		c.loseConfig(host, r.Configs[host])
	}
	return c.add(setMetadata{Name: c.name}, entries, kinds.Digest, kinds.Tag) // k3s asks its mirrors for both
}

func (c registriesConverter) loseCredentials(host string) {
	c.lose("credentials for %q: a set has none; give Pods pull secrets, or the kubelet a credential provider", host)
}

func (c registriesConverter) loseConfig(host string, config *registryConfig) {
	if config == nil {
		return
	}
	if len(config.Auth) > 0 {
		c.loseCredentials(host)
	}
	if config.TLS == nil {
		return
	}
	registry, each := registryOf(host)
	if config.TLS.InsecureSkipVerify {
		c.lose("insecure_skip_verify of %q: have the manager run with --insecure-registry=%s%s", host, registry, each)
	}
	if config.TLS.CAFile != "" || config.TLS.CertFile != "" || config.TLS.KeyFile != "" {
		c.lose("TLS files of %q: put them into /etc/containers/certs.d/%s on each node%s", host, registry, each)
	}
}

// registryOf returns the registry that a config is for, or what stands for one and what is to be done then.
func registryOf(host string) (registry, each string) {
	if _, rest, ok := strings.Cut(host, "://"); ok {
		host, _, _ = strings.Cut(rest, "/")
	}
	if _, err := mirrors.ParseScopes([]string{host}); err != nil {
		return "HOST", ", for each mirror that it is about"
	}
	return host, ""
}

// entriesOf returns the entries that the mirrors of one registry become.
func (c registriesConverter) entriesOf(host string, m *registryMirror) []configv1.ImageDigestMirrors {
	switch {
	case host == "*":
		c.lose("mirrors of \"*\": no source matches all registries; name those that images come from")
		return nil
	case m == nil || len(m.Endpoint) == 0:
		c.lose("mirrors of %q: there is no endpoint", host)
		return nil
	}
	var bases []string
	for _, endpoint := range m.Endpoint {
		if base, ok := c.mirrorOf(host, endpoint); ok {
			bases = append(bases, base)
		}
	}
	renamed := c.renamed(host, m.Rewrite)
	var entries []configv1.ImageDigestMirrors
	for _, from := range slices.Sorted(maps.Keys(renamed)) {
		entry := configv1.ImageDigestMirrors{Source: below(host, from)}
		for _, base := range bases {
			entry.Mirrors = append(entry.Mirrors, configv1.ImageMirror(below(base, renamed[from])))
		}
		entries = append(entries, entry)
	}
	return entries
}

// renamed returns the paths that rewrites put in place of others, by those. What no rewrite is about is asked for under its own
// name, and of two rewrites about the same, the first one counts: k3s takes any.
func (c registriesConverter) renamed(host string, rewrites map[string]string) map[string]string {
	patterns := slices.Sorted(maps.Keys(rewrites))
	slices.SortStableFunc(patterns, func(a, b string) int { // those about one repository come last
		return strings.Compare(rewriteOne.FindString(a), rewriteOne.FindString(b))
	})
	renamed, by := map[string]string{"": ""}, make(map[string]string)
	for _, pattern := range patterns {
		from, to, ok := prefixes(pattern, rewrites[pattern])
		first, taken := by[from]
		switch {
		case !ok:
			c.lose("rewrite %q of %q: it does not just put one prefix of whole components in place of another, so what it is about is asked for under its own name", pattern, host)
			continue
		case taken && renamed[from] == to:
			continue
		case taken:
			c.lose("rewrite %q of %q: it is about the same source %q as rewrite %q, which was taken", pattern, host, below(host, from), first)
			continue
		case rewriteOne.MatchString(pattern):
			c.lose("rewrite %q of %q: k3s rewrites that repository only; with a set, those below it are rewritten too", pattern, host)
		}
		renamed[from], by[from] = to, pattern
	}
	return renamed
}

// mirrorOf returns an endpoint as host and path. Its own path is the root of the registry's API.
func (c registriesConverter) mirrorOf(host, endpoint string) (mirror string, ok bool) {
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		c.lose("an endpoint of %q: it is neither https:// nor http://, or has credentials", host) // which are not printed
		return "", false
	}
	root := strings.TrimSuffix(u.Path, "/")
	path, isV2 := strings.CutPrefix(root, "/v2")
	if root != "" && (!isV2 || path != "" && path[0] != '/') {
		c.lose("endpoint %q of %q: a set cannot say that the API is anywhere but at /v2", endpoint, host)
		return "", false
	}
	if u.Scheme == "http" {
		c.lose("http of endpoint %q: have the manager run with --insecure-registry=%s", endpoint, output.Printable(u.Host))
	}
	return below(u.Host, strings.TrimPrefix(path, "/")), true
}

func below(place, path string) string {
	if path == "" {
		return place
	}
	return place + "/" + path
}

// The rewrites that a set can say: of everything, of all below a prefix, and of one repository.
var (
	rewriteAll  = regexp.MustCompile(`^\^?\(\.[*+]\)\$?$`)
	rewriteRest = regexp.MustCompile(`^\^([a-z0-9_/-]+)/\(\.[*+]\)\$?$`)
	rewriteOne  = regexp.MustCompile(`^\^((?:[a-z0-9_-]|\\?/)+)\$$`)
	newRest     = regexp.MustCompile(`^(?:([a-z0-9._/-]+)/)?\$(?:1|\{1\})$`)
	newOne      = regexp.MustCompile(`^([a-z0-9._/-]+)$`)
)

// prefixes returns the prefix that a rewrite takes away and the one that it puts there.
func prefixes(pattern, replacement string) (from, to string, ok bool) {
	pattern = strings.ReplaceAll(pattern, `\/`, "/")
	want := newRest
	switch {
	case rewriteAll.MatchString(pattern):
	case rewriteRest.MatchString(pattern):
		from = rewriteRest.FindStringSubmatch(pattern)[1]
	case rewriteOne.MatchString(pattern):
		from, want = rewriteOne.FindStringSubmatch(pattern)[1], newOne
	default:
		return "", "", false
	}
	found := want.FindStringSubmatch(replacement)
	if found == nil {
		return "", "", false
	}
	return from, found[1], true
}
