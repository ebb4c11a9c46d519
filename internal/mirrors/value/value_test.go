// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package value_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

func TestEachPartThatIsWrongIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "it is empty",
		"  ":                                "it is empty",
		"m.com ":                            "it has a space",
		"m.com\tx":                          "it has a space",
		"m.com\n":                           "it has a line break",
		"m.com\x00":                         `it has the character "\x00"`,
		"m.c\u00f6m":                        "it has the character \"\u00f6\"",
		`m.com"`:                            `it has the character "\""`,
		"https://m.com":                     `it begins with the scheme "https://"`,
		"docker://m.com/x":                  `it begins with the scheme "docker://"`,
		"m.com/":                            "it ends with a slash",
		"/m.com":                            "it begins with a slash",
		"m.com//x":                          "it has two slashes in a row",
		"m.com/x:v1":                        `it ends with the tag ":v1"`,
		"m.com:latest":                      `it has "latest" where a port number belongs`,
		"m.com:":                            "it has a colon without a port",
		"m.com/x@sha256:ab":                 `it ends with the digest "@sha256:ab"`,
		"m.com/x:v1@sha256:ab":              `it ends with the digest "@sha256:ab", and it ends with the tag ":v1"`,
		"me@m.com/x":                        `it has a user name, "me@", before the host`,
		"m.com/x?a=b":                       `it ends with "?a=b", as only a URL does`,
		"m.com/X":                           "it has capital letters in its path",
		"[::1]:5000/x":                      "it has an IPv6 address where a host name belongs",
		"fd00::1/x":                         "it has an IPv6 address where a host name belongs",
		"m_m.com":                           `its host "m_m.com" is not made of letters, digits and inner hyphens, joined by single dots`,
		"-m.com":                            `its host "-m.com" is not made of letters, digits and inner hyphens, joined by single dots`,
		"m..com":                            `its host "m..com" is not made of letters, digits and inner hyphens, joined by single dots`,
		":5000":                             "it has no host",
		"m.com/a..b":                        `its path component "a..b" is not made of letters and digits, joined by one dot, one or two underscores, or hyphens`,
		"*.m.com":                           "it has a wildcard, which a mirror cannot have",
		"https://m.com/X:v1":                `it begins with the scheme "https://", and it ends with the tag ":v1", and it has capital letters in its path`,
		"https://m.com/":                    `it begins with the scheme "https://", and it ends with a slash`,
		"m.com/a:b/c":                       "it has a colon in its path",
		"m.com:5000/a_b/c.d/e--f/g__h":      "",
		"Registry.Example.com/lower/0.case": "",
	} {
		if got := value.Mistakes(text, value.Mirror); got != want {
			t.Errorf("%q: %s\nwant %s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"*.s.com":      "",
		"*.s.com/x":    "it has a port or a path behind a wildcard, which stands for whole hosts only",
		"*.s.com:5000": "it has a port or a path behind a wildcard, which stands for whole hosts only",
		"*s.com":       "it has a wildcard that is not the whole first label, as in *.example.com",
		"a.*.com":      "it has a wildcard that is not the whole first label, as in *.example.com",
		"*.*.com":      "it has a wildcard that is not the whole first label, as in *.example.com",
		"*":            "it has a wildcard that is not the whole first label, as in *.example.com",
		"s.com/*":      "it has a wildcard that is not the whole first label, as in *.example.com",
	} {
		if got := value.Mistakes(text, value.Source); got != want {
			t.Errorf("%q: %s\nwant %s", text, got, want)
		}
	}
}

// Whatever the grammar refuses has a mistake that can be said, and nothing else has.
func FuzzMistakes(f *testing.F) {
	for _, seed := range []string{"m.com", "*.m.com", "https://M.com:x/Y:z@sha256:1", "a..b/", "[::1]", "\xff", "*.", "*.:", "a:5/b_c", "x*y.com"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for kind, validate := range map[value.Kind]func(string) bool{
			value.Mirror: func(s string) bool {
				rule := mirrors.Rule{Source: "s.com", Mirrors: []mirrors.Mirror{{Location: mirrors.Scope(s), Modes: mirrors.ByDigest}}}
				err := rule.Validate()
				return err == nil || !strings.Contains(err.Error(), "is not host[:port][/path]")
			},
			value.Source: func(s string) bool {
				_, err := mirrors.ParseScopes([]string{s})
				return err == nil
			},
		} {
			says := value.Mistakes(text, kind)
			if (says == "") != validate(text) {
				t.Errorf("%q: says %q, and the grammar takes it: %t", text, says, validate(text))
			}
			if !utf8.ValidString(says) || strings.ContainsAny(says, "\n\r\x00") {
				t.Errorf("%q: says %q", text, says)
			}
		}
	})
}

func TestALongValueIsCutInTheMiddle(t *testing.T) {
	long := "m.com/" + strings.Repeat("x", 200)
	one, other := value.Quote(long+"-4-20"), value.Quote(long+"-4-21")
	if one == other || !strings.HasPrefix(one, `"m.com/xxx`) || !strings.HasSuffix(one, `xxx-4-20"`) || len(one) > 110 {
		t.Errorf("%s and %s", one, other)
	}
	if got := value.Quote(strings.Repeat("x", 100)); got != `"`+strings.Repeat("x", 100)+`"` {
		t.Error(got)
	}
	if got := value.Quote(strings.Repeat("\n\xff", 200)); strings.Contains(got, "\n") || !utf8.ValidString(got) || len(got) > 500 {
		t.Error(got)
	}
}
