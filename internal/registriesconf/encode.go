// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// Encode writes the rules in their order, one table a source, each under a comment that names the objects it comes from.
// The same rules give the same bytes (R1, R2). It fails with [mirrors.ErrTooLarge] as soon as there is too much.
//
// It writes the few lines that there can be itself, because an encoder for any TOML takes longer than all the rest from the sets to their text.
func Encode(rules []mirrors.Rule) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(min(len(Header)+aPlace*places(rules), MaxText))
	out.WriteString(Header)
	for i := range rules {
		if err := writeRule(&out, &rules[i]); err != nil {
			return nil, fmt.Errorf("writing source %q: %w", rules[i].Source, err)
		}
		if out.Len() > MaxText {
			return nil, mirrors.ErrTooLarge
		}
	}
	return out.Bytes(), nil
}

// aPlace is about what a source or a mirror takes, in bytes.
const aPlace = 128

// places is how many sources and mirrors the rules have.
func places(rules []mirrors.Rule) int {
	n := len(rules)
	for i := range rules {
		n += len(rules[i].Mirrors)
	}
	return n
}

func writeRule(out *bytes.Buffer, rule *mirrors.Rule) error {
	out.WriteByte('\n')
	out.WriteString(provenance(rule))
	out.WriteString("[[registry]]\n")
	source := "location"
	if rule.Source.IsWildcard() {
		source = "prefix"
	}
	if err := writePlace(out, source, rule.Source); err != nil {
		return err
	}
	writeIf(out, rule.Insecure, "insecure")
	writeIf(out, rule.Blocked, "blocked")
	for i := range rule.Mirrors {
		m := &rule.Mirrors[i]
		pull, ok := pulls[m.Modes]
		if !ok {
			return fmt.Errorf("mirror %q serves neither digests nor tags, so registries.conf cannot hold it", m.Location)
		}
		out.WriteString("\n[[registry.mirror]]\n")
		if err := writePlace(out, "location", m.Location); err != nil {
			return err
		}
		writeIf(out, m.Insecure, "insecure")
		if pull != "" {
			writeString(out, "pull-from-mirror", pull)
		}
	}
	return nil
}

// writePlace writes a source or a mirror. What is in the grammar has nothing that TOML wants escaped.
func writePlace(out *bytes.Buffer, key string, place mirrors.Scope) error {
	if !value.Source.Takes(string(place)) {
		return fmt.Errorf("%q is no %s", place, key)
	}
	writeString(out, key, string(place))
	return nil
}

// writeString writes a key with a string in double quotes, as every example of registries.conf has it.
func writeString(out *bytes.Buffer, key, text string) {
	out.WriteString(key)
	out.WriteString(" = \"")
	out.WriteString(text)
	out.WriteString("\"\n")
}

// writeIf writes a key that is true. One that is false is left out.
func writeIf(out *bytes.Buffer, is bool, key string) {
	if is {
		out.WriteString(key)
		out.WriteString(" = true\n")
	}
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
