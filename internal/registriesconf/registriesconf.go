// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registriesconf writes rules as registries.conf (version 2) text, and reads that text back. The text is what
// CRI-O, Podman, Buildah and Skopeo are configured with, and the one form in which rules travel to a node (section 4 of
// docs/semantics.md).
package registriesconf

import (
	"bytes"
	"encoding/json"
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
var pulls = map[mirrors.Mode]text{mirrors.ByDigest: "digest-only", mirrors.ByTag: "tag-only", mirrors.ByDigest | mirrors.ByTag: ""}

type document struct {
	Registries []registry `toml:"registry"`
}

type registry struct {
	Prefix   text     `toml:"prefix,omitempty"`
	Location text     `toml:"location,omitempty"`
	Insecure bool     `toml:"insecure,omitempty"`
	Blocked  bool     `toml:"blocked,omitempty"`
	Mirrors  []mirror `toml:"mirror,omitempty"`
}

type mirror struct {
	Location       text `toml:"location"`
	Insecure       bool `toml:"insecure,omitempty"`
	PullFromMirror text `toml:"pull-from-mirror,omitempty"`
}

// text is a string that is written in double quotes, as every example of registries.conf has it.
type text string

// MarshalTOML writes a TOML basic string, whose escapes are a superset of JSON's.
func (t text) MarshalTOML() ([]byte, error) {
	if t == "" {
		return nil, nil
	}
	return json.Marshal(string(t))
}

// Encode writes the rules in their order, one table a source, each under a comment that names the objects it comes from.
// The same rules give the same bytes (R1, R2). It fails with [mirrors.ErrTooLarge] as soon as there is too much.
func Encode(rules []mirrors.Rule) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(Header)
	for i := range rules {
		out.WriteString("\n" + provenance(&rules[i]))
		table, err := encodeRule(&rules[i])
		if err != nil {
			return nil, err
		}
		if err := toml.NewEncoder(&out).SetIndentTables(true).SetIndentSymbol("").EnableMarshalerInterface().Encode(document{Registries: []registry{table}}); err != nil {
			return nil, fmt.Errorf("writing source %q: %w", rules[i].Source, err)
		}
		if out.Len() > MaxText {
			return nil, mirrors.ErrTooLarge
		}
	}
	return out.Bytes(), nil
}

func encodeRule(rule *mirrors.Rule) (registry, error) {
	r := registry{Insecure: rule.Insecure, Blocked: rule.Blocked}
	if rule.Source.IsWildcard() {
		r.Prefix = text(rule.Source)
	} else {
		r.Location = text(rule.Source)
	}
	for _, m := range rule.Mirrors {
		pull, ok := pulls[m.Modes]
		if !ok {
			return r, fmt.Errorf("mirror %q of source %q is for no references that registries.conf can name", m.Location, rule.Source)
		}
		r.Mirrors = append(r.Mirrors, mirror{Location: text(m.Location), Insecure: m.Insecure, PullFromMirror: pull})
	}
	return r, nil
}

// provenance is a comment line for people who read the file on a node.
func provenance(rule *mirrors.Rule) string {
	var parts []string
	if from := rule.Entries(); len(from) > 0 {
		parts = append(parts, mirrors.Names(from))
	}
	if len(rule.BlockedBy) > 0 {
		parts = append(parts, "blocked by "+mirrors.Names(rule.BlockedBy))
	}
	if len(parts) == 0 {
		return ""
	}
	return "# " + strings.Join(parts, ", ") + "\n"
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
			err = fmt.Errorf("source %q stands behind %q, out of order", rule.Source, rules[i-1].Source)
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
		return rule, fmt.Errorf("prefix %q is not a wildcard", string(r.Prefix))
	case isWildcard:
		rule.Source = mirrors.Scope(r.Prefix)
	case strings.HasPrefix(string(rule.Source), "*"):
		return rule, fmt.Errorf("location %q is a wildcard, which must be a prefix", rule.Source)
	}
	for _, m := range r.Mirrors {
		modes := modesOf(m.PullFromMirror)
		if modes == 0 {
			return rule, fmt.Errorf("mirror %q: pull-from-mirror is %q, want %q, %q or none", string(m.Location), string(m.PullFromMirror), pulls[mirrors.ByDigest], pulls[mirrors.ByTag])
		}
		rule.Mirrors = append(rule.Mirrors, mirrors.Mirror{Location: mirrors.Scope(m.Location), Modes: modes, Insecure: m.Insecure})
	}
	return rule, rule.Validate()
}

// modesOf returns what a value of pull-from-mirror means; 0 for none that [Encode] writes.
func modesOf(value text) mirrors.Mode {
	for modes, written := range pulls {
		if written == value {
			return modes
		}
	}
	return 0
}
