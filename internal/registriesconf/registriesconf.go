// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registriesconf writes rules as registries.conf (version 2) text, and reads that text back. The text is the configuration of
// CRI-O, Podman, Buildah and Skopeo, and the only form in which rules reach a node (section 4 of docs/reference/semantics.md).
package registriesconf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Header begins every text that [Encode] writes. It identifies a file as ours.
const Header = "# Written by Mirrorset from the ImageDigestMirrorSets of this cluster. Do not edit: changes are undone.\n"

// MaxText is the largest text, in bytes, that an agent decompresses. The manager never publishes a larger one, because its readers on the
// node need about thirty times as much memory.
const MaxText = 8 << 20

// pulls are the values of pull-from-mirror, which limit the references that readers use a mirror for (L4, T7). A mirror without the key is
// for all references.
var pulls = map[mirrors.Mode]string{mirrors.ByDigest: "digest-only", mirrors.ByTag: "tag-only", mirrors.ByDigest | mirrors.ByTag: ""}

type document struct {
	Registries []registry `toml:"registry"`
}

type registry struct {
	Prefix   string   `toml:"prefix"`
	Location string   `toml:"location"`
	Insecure bool     `toml:"insecure"`
	Blocked  bool     `toml:"blocked"`
	Mirrors  []mirror `toml:"mirror"`
}

type mirror struct {
	Location       string `toml:"location"`
	Insecure       bool   `toml:"insecure"`
	PullFromMirror string `toml:"pull-from-mirror"`
}

// Decode parses text that [Encode] wrote into rules without provenance. It is strict: everything that Encode would not have written is an
// error, for example an unknown key or mirrors in another order (T7). No reader of ours then understands less than the runtimes do.
func Decode(data []byte) ([]mirrors.Rule, error) {
	if err := checkLines(data); err != nil {
		return nil, fmt.Errorf("registries.conf: %w", err)
	}
	var doc document
	if err := toml.Unmarshal(data, &doc); err != nil {
		text, _, _ := strings.Cut(err.Error(), " into ") // what follows names an internal type
		return nil, errors.New("registries.conf: " + text)
	}
	rules := make([]mirrors.Rule, 0, len(doc.Registries))
	for i := range doc.Registries {
		rule, err := decodeRule(&doc.Registries[i])
		if err == nil && i > 0 && rule.Source <= rules[i-1].Source {
			err = fmt.Errorf("source %q comes after %q, out of order", rule.Source, rules[i-1].Source)
		}
		if err != nil {
			return nil, fmt.Errorf("registries.conf: table %d: %w", i+1, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func decodeRule(r *registry) (mirrors.Rule, error) {
	rule := mirrors.Rule{Source: mirrors.Scope(r.Location), Insecure: r.Insecure, Blocked: r.Blocked}
	isWildcard := mirrors.Scope(r.Prefix).IsWildcard()
	switch {
	case r.Prefix != "" && r.Location != "":
		return rule, errors.New("prefix and location are both set")
	case r.Prefix != "" && !isWildcard:
		return rule, fmt.Errorf("prefix %q is not a wildcard", r.Prefix)
	case isWildcard:
		rule.Source = mirrors.Scope(r.Prefix)
	case strings.HasPrefix(string(rule.Source), "*"):
		return rule, fmt.Errorf("location %q is a wildcard, which must be a prefix", rule.Source)
	}
	for _, m := range r.Mirrors {
		modes := modesOf(m.PullFromMirror)
		if modes == 0 {
			return rule, fmt.Errorf("mirror %q: pull-from-mirror is %q; only %q, %q or no value is valid", m.Location, m.PullFromMirror, pulls[mirrors.ByDigest], pulls[mirrors.ByTag])
		}
		rule.Mirrors = append(rule.Mirrors, mirrors.Mirror{Location: mirrors.Scope(m.Location), Modes: modes, Insecure: m.Insecure})
	}
	return rule, rule.Validate()
}

// modesOf returns the meaning of a value of pull-from-mirror, or 0 for a value that [Encode] does not write.
func modesOf(value string) mirrors.Mode {
	for modes, written := range pulls {
		if written == value {
			return modes
		}
	}
	return 0
}
