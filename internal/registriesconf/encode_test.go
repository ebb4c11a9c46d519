// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"pgregory.net/rapid"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// quoted is a string that an encoder of TOML writes in double quotes.
type quoted string

func (q quoted) MarshalTOML() ([]byte, error) {
	if q == "" {
		return nil, nil
	}
	return json.Marshal(string(q))
}

type endpoint struct {
	Location       quoted `toml:"location,omitempty"`
	Insecure       bool   `toml:"insecure,omitempty"`
	PullFromMirror quoted `toml:"pull-from-mirror,omitempty"`
}

type table struct {
	Prefix   quoted     `toml:"prefix,omitempty"`
	Location quoted     `toml:"location,omitempty"`
	Insecure bool       `toml:"insecure,omitempty"`
	Blocked  bool       `toml:"blocked,omitempty"`
	Mirrors  []endpoint `toml:"mirror,omitempty"`
}

// encoded is one rule as an encoder for any TOML writes it.
func encoded(t *rapid.T, rule *mirrors.Rule) string {
	t.Helper()
	of := table{Location: quoted(rule.Source), Insecure: rule.Insecure, Blocked: rule.Blocked}
	if rule.Source.IsWildcard() {
		of.Prefix, of.Location = of.Location, ""
	}
	for _, m := range rule.Mirrors {
		pull := map[mirrors.Mode]quoted{mirrors.ByDigest: "digest-only", mirrors.ByTag: "tag-only"}[m.Modes]
		of.Mirrors = append(of.Mirrors, endpoint{Location: quoted(m.Location), Insecure: m.Insecure, PullFromMirror: pull})
	}
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).SetIndentTables(true).SetIndentSymbol("").EnableMarshalerInterface().Encode(map[string][]table{"registry": {of}}); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestTheTextIsWhatAnEncoderOfTOMLWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := kinds.Merge(drawInput(t)).Rules
		for i := range rules {
			for j := range rules[i].Mirrors {
				rules[i].Mirrors[j].Modes = rapid.SampledFrom([]mirrors.Mode{mirrors.ByDigest, mirrors.ByTag, mirrors.ByDigest | mirrors.ByTag}).Draw(t, "modes")
			}
		}
		text, err := registriesconf.Encode(rules)
		if err != nil {
			t.Fatal(err)
		}
		var want strings.Builder
		for i := range rules {
			want.WriteString("\n" + encoded(t, &rules[i]))
		}
		if got := withoutComments(string(text)); got != want.String() {
			t.Fatalf("got\n%s\nwant\n%s", got, want.String())
		}
	})
}

// withoutComments returns a text without the lines that are for people.
func withoutComments(text string) string {
	var rest strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			rest.WriteString(line)
		}
	}
	return rest.String()
}

// What would have to be escaped is no source and no mirror.
func TestWhatIsOutsideTheGrammarIsNotWritten(t *testing.T) {
	for _, place := range []mirrors.Scope{"", "s.com\"\nblocked = true\n", `s.com\`, "s.com/\x7f"} {
		for _, rule := range []mirrors.Rule{{Source: place}, {Source: "s.com", Mirrors: []mirrors.Mirror{{Location: place, Modes: mirrors.ByDigest}}}} {
			if text, err := registriesconf.Encode([]mirrors.Rule{rule}); err == nil {
				t.Errorf("%q: written as\n%s", place, text)
			}
		}
	}
}
