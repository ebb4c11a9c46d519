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

// Encode writes the rules in their order, with one table per source. A comment above each table names the objects that its rule comes from.
// The same rules give the same bytes (R1, R2). It fails with [mirrors.ErrTooLarge] as soon as the text is too large.
//
// It writes the few possible kinds of lines itself, because a general TOML encoder takes longer than all other steps from the sets to their
// text together.
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

// aPlace is the approximate size of a source or a mirror, in bytes.
const aPlace = 128

// places counts the sources and mirrors of the rules.
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

// writePlace writes a source or a mirror. The grammar of places allows no character that needs an escape in TOML.
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

// writeIf writes a key if its value is true. A false value is left out.
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
