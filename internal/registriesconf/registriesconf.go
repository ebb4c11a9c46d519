// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registriesconf writes rules as registries.conf (version 2) text, and reads that text back. The text is what
// CRI-O, Podman, Buildah and Skopeo are configured with, and the one form in which rules travel to a node (section 4 of
// docs/reference/semantics.md).
package registriesconf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Header begins every text that [Encode] writes. By it a file is known to be ours.
const Header = "# Written by Mirrorset from the ImageDigestMirrorSets of this cluster. Do not edit: changes are undone.\n"

// MaxText is the largest text, in bytes, that an agent unpacks. What is larger is never published: its readers on the node take some thirty
// times as much memory.
const MaxText = 8 << 20

// pulls are the values of pull-from-mirror, which say for which references readers use a mirror (L4, T7); without one it is for all.
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

// Decode reads text that [Encode] wrote into rules without provenance. It is strict: whatever Encode would not have
// written, such as a key it does not know or mirrors in another order (T7), is an error, so that no reader of ours understands
// less than the runtimes do.
func Decode(data []byte) ([]mirrors.Rule, error) {
	if err := checkLines(data); err != nil {
		return nil, fmt.Errorf("registries.conf: %w", err)
	}
	var doc document
	if err := toml.Unmarshal(data, &doc); err != nil {
		text, _, _ := strings.Cut(err.Error(), " into ") // a type of ours
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

// modesOf returns what a value of pull-from-mirror means; 0 for none that [Encode] writes.
func modesOf(value string) mirrors.Mode {
	for modes, written := range pulls {
		if written == value {
			return modes
		}
	}
	return 0
}
