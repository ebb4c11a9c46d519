// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

func TestDecodeRefusesWhatEncodeWouldNotHaveWritten(t *testing.T) {
	const good = "[[registry]]\nlocation = \"s.com\"\n"
	const mirror = "[[registry.mirror]]\npull-from-mirror = \"digest-only\"\nlocation = "
	if _, err := registriesconf.Decode([]byte(good + mirror + "\"m.com\"\n")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, says string }{
		"no TOML":                          {"[[registry]", "line 1"},
		"no string":                        {"[[registry]]\nlocation = \"s\\q.com\"\n", "toml"},
		"an unknown key":                   {good + "mirror-by-digest-only = true\n", "mirror-by-digest-only"},
		"an unknown key at the top":        {"short-name-mode = \"enforcing\"\n", "short-name-mode"},
		"an unknown key of a mirror":       {good + mirror + "\"m.com\"\nnamespace-proxy = \"x\"\n", "namespace-proxy"},
		"version 1":                        {"[registries.block]\nregistries = [\"s.com\"]\n", "registries"},
		"a key in another case":            {good + "Blocked = true\n", "Blocked"},
		"a key twice in different cases":   {good + "LOCATION = \"t.com\"\n", "LOCATION"},
		"one table for an array of tables": {"[registry]\nlocation = \"s.com\"\n", "registry"},
		"one table for mirrors":            {good + "[registry.mirror]\nlocation = \"m.com\"\npull-from-mirror = \"digest-only\"\n", "mirror"},
		"tags before digests":              {good + "[[registry.mirror]]\npull-from-mirror = \"tag-only\"\nlocation = \"n.com\"\n" + mirror + "\"m.com\"\n", "digests first"},
		"the same for both, twice":         {good + mirror + "\"m.com\"\n[[registry.mirror]]\npull-from-mirror = \"tag-only\"\nlocation = \"m.com\"\n", "digests first"},
		"a mirror for both among others":   {good + "[[registry.mirror]]\nlocation = \"m.com\"\n" + mirror + "\"n.com\"\n", "digests first"},
		"a mirror for all":                 {good + "[[registry.mirror]]\nlocation = \"m.com\"\npull-from-mirror = \"all\"\n", "digest-only"},
		"a mirror without location":        {good + "[[registry.mirror]]\npull-from-mirror = \"digest-only\"\n", "mirror"},
		"prefix and location":              {good + "prefix = \"*.s.com\"\n", "both"},
		"a prefix that is no wildcard":     {"[[registry]]\nprefix = \"s.com\"\n", "wildcard"},
		"a location that is a wildcard":    {"[[registry]]\nlocation = \"*.s.com\"\n", "wildcard"},
		"an empty table":                   {"[[registry]]\n", "source"},
		"a source outside the grammar":     {"[[registry]]\nlocation = \"s.com/\"\n", "source"},
		"a mirror outside the grammar":     {good + mirror + "\"https://m.com\"\n", "mirror"},
		"a mirror that fails every pull":   {good + mirror + "\"mirror\"\n", "single label"},
		"a source twice":                   {good + good, "order"},
		"sources out of order":             {"[[registry]]\nlocation = \"t.com\"\n" + good, "order"},
		"a blocked source as its mirror":   {good + "blocked = true\n" + mirror + "\"s.com\"\n", "blocked"},
		"a number for a truth":             {good + "blocked = 1\n", "line 3"},
		"credential helpers":               {"credential-helpers = [\"x\"]\n", "credential-helpers"},
		"registries to search":             {"unqualified-search-registries = [\"evil.com\"]\n", "unqualified-search-registries"},
		"aliases of short names":           {"[aliases]\nalpine = \"evil.com/alpine\"\n", "[aliases]"},
		"a key before the first table":     {"location = \"s.com\"\n", "location"},
		"a mirror before the first table":  {mirror + "\"m.com\"\n", "source"},
		"a key in quotes":                  {"[[registry]]\n\"location\" = \"s.com\"\n", "line 2"},
		"a key of parts":                   {good + "mirror.location = \"m.com\"\n", "line 3"},
		"a heading of parts":               {good + "[[registry.mirror.mirror]]\n", "line 3"},
		"a heading with spaces":            {"[[ registry ]]\nlocation = \"s.com\"\n", "line 1"},
		"a comment behind a value":         {"[[registry]]\nlocation = \"s.com\" # mine\n", "line 2"},
		"tables in a line":                 {"registry = [{location = \"s.com\"}]\n", "registry"},
		"mirrors in a line":                {good + "mirror = [{location = \"m.com\"}]\n", "mirror"},
		"a string of several lines":        {"[[registry]]\nlocation = \"\"\"\ns.com\"\"\"\n", "line 2"},
		"a string that goes on":            {"[[registry]]\nlocation = \"s.com\" \"\n", "toml"},
		"a literal string":                 {"[[registry]]\nlocation = 's.com'\n", "line 2"},
		"line ends of Windows":             {strings.ReplaceAll(good, "\n", "\r\n"), "line 1"},
		"a byte order mark":                {"\ufeff" + good, "line 1"},
		"a control character":              {"# \x00\n" + good, "toml"},
		"a key twice":                      {good + "location = \"s.com\"\n", "toml"},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := registriesconf.Decode([]byte(c.text))
			if err == nil {
				t.Fatalf("decoded as %+v", rules)
			}
			if !strings.HasPrefix(err.Error(), "registries.conf: ") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error does not say %q: %v", c.says, err)
			}
		})
	}
}

// What takes a reader of TOML gigabytes is refused by its first line.
func TestDecodeHoldsNoBombInMemory(t *testing.T) {
	const size = 4 << 20
	var unknown strings.Builder
	for i := 0; unknown.Len() < size; i++ {
		fmt.Fprintf(&unknown, "k%d = true\n", i)
	}
	for name, text := range map[string]string{
		"a key of many parts":     "registry" + strings.Repeat(".a", size/2) + " = true\n",
		"a heading of many parts": "[registry" + strings.Repeat(".a", size/2) + "]\n",
		"arrays in arrays":        "registry = " + strings.Repeat("[", size) + "\n",
		"tables in tables":        "registry = " + strings.Repeat("{a = ", size/5) + "\n",
		"many unknown keys":       unknown.String(),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := registriesconf.Decode([]byte(text))
		runtime.ReadMemStats(&after)
		if err == nil || len(err.Error()) > 1000 {
			t.Errorf("%s: error %.2000v", name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 4*size {
			t.Errorf("%s: took %d bytes for %d", name, took, len(text))
		}
	}
}

func TestDecodeNamesTheLineOfAnUnknownKey(t *testing.T) {
	_, err := registriesconf.Decode([]byte("[[registry]]\nlocation = \"s.com\"\nfoo = 1\n"))
	if err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("got %v", err)
	}
}

func TestEncodeBeginsWithTheHeader(t *testing.T) {
	text, err := registriesconf.Encode(nil)
	if err != nil || string(text) != registriesconf.Header {
		t.Errorf("error %v, text %q", err, text)
	}
	if rules, err := registriesconf.Decode(text); err != nil || len(rules) > 0 {
		t.Errorf("error %v, rules %+v", err, rules)
	}
}

func TestARuleWithoutProvenanceHasNoComment(t *testing.T) {
	text, err := registriesconf.Encode([]mirrors.Rule{{Source: "s.com"}})
	if want := registriesconf.Header + "\n[[registry]]\nlocation = \"s.com\"\n"; err != nil || string(text) != want {
		t.Errorf("error %v, text\n%s", err, text)
	}
}

func TestProvenanceIsAlwaysOneComment(t *testing.T) {
	odd := []mirrors.Entry{
		{Object: mirrors.Object{Name: "a\n[[registry]]\nlocation = \"evil.com\"\n"}},
		{Object: mirrors.Object{Name: ""}},
		{Object: mirrors.Object{Name: "\x7f\u2028\xff"}},
	}
	for name, rule := range map[string]mirrors.Rule{
		"odd names":          {Source: "s.com", From: odd},
		"odd blocking names": {Source: "s.com", Blocked: true, From: odd, BlockedBy: odd},
		"only blocked by":    {Source: "s.com", Blocked: true, BlockedBy: odd[:1]},
		"nothing":            {Source: "s.com"},
	} {
		text, err := registriesconf.Encode([]mirrors.Rule{rule})
		if err != nil {
			t.Fatal(err)
		}
		if err := newConsumer(t).load(text); err != nil {
			t.Errorf("%s: the consumer refuses the text: %v\n%s", name, err, text)
		}
		got, err := registriesconf.Decode(text)
		if err != nil || len(got) != 1 || got[0].Source != "s.com" || got[0].Blocked != rule.Blocked {
			t.Errorf("%s: error %v, rules %+v\n%s", name, err, got, text)
		}
	}
}
