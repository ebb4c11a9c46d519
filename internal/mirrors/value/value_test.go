// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package value_test

import (
	"strings"
	"testing"
	"unicode/utf8"

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
		"m.com/\u00f6":                      "it has the character \"\u00f6\"",
		"\u00f6.m.com":                      "it has the character \"\u00f6\"",
		"{{ .Values.mirror }}":              `it has a space, and it has the character "{"`,
		"*.m_m.com":                         `it has a wildcard, which a mirror cannot have, and its host "m_m.com" is not made of letters, digits and inner hyphens, joined by single dots`,
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
		"m.com/x?a=b":                       `it ends with "?a=b", which only a URL can have`,
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
		wantWrong(t, text, value.Mirror, want)
	}
	for text, want := range map[string]string{
		"*.s.com":      "",
		"*.s.com/x":    "it has a port or a path after a wildcard, but a wildcard matches whole hosts only",
		"*.s.com:5000": "it has a port or a path after a wildcard, but a wildcard matches whole hosts only",
		"*s.com":       "it has a wildcard that is not the whole first label, as in *.example.com",
		"a.*.com":      "it has a wildcard that is not the whole first label, as in *.example.com",
		"*.*.com":      "it has a wildcard that is not the whole first label, as in *.example.com",
		"*":            "it has a wildcard that is not the whole first label, as in *.example.com",
		"s.com/*":      "it has a wildcard that is not the whole first label, as in *.example.com",
	} {
		wantWrong(t, text, value.Source, want)
	}
}

// wantWrong wants a value to be refused for this reason, or, where that is empty, to be taken.
func wantWrong(t *testing.T, text string, kind value.Kind, want string) {
	t.Helper()
	got, _, _ := strings.Cut(value.Wrong(text, kind)+"; ", "; ")
	if got != want || kind.Takes(text) != (want == "") {
		t.Errorf("%q: taken: %t, %s\nwant %s", text, kind.Takes(text), got, want)
	}
}

func TestWhatToWriteInsteadIsSaid(t *testing.T) {
	const mirror, source = "write host[:port][/path]", "write host[:port][/path] or *.host"
	for text, want := range map[string]string{
		"https://m.com":          `write "m.com"`,
		"oci://m.com/x:v1":       `write "m.com/x"`,
		"m.com:5000/x/@sha256:1": `write "m.com:5000/x"`,
		" m.com/x\n":             `write "m.com/x"`,
		"me@m.com/x?a=b":         `write "m.com/x"`,
		"m.com//x":               mirror,
		"m.com/x y":              mirror,
		"m.com/X":                mirror,
		"m_m.com":                mirror,
		"*.m.com":                mirror,
		"[::1]:5000":             mirror,
		"":                       mirror,
	} {
		if got := value.Wrong(text, value.Mirror); !strings.HasSuffix(got, "; "+want) {
			t.Errorf("%q: %s\nwant %s", text, got, want)
		}
	}
	for text, want := range map[string]string{"https://*.s.com": source, "*.s.com/x": source, "s.com/x@sha256:1": `write "s.com/x"`} {
		if got := value.Wrong(text, value.Source); !strings.HasSuffix(got, "; "+want) {
			t.Errorf("%q: %s\nwant %s", text, got, want)
		}
	}
}

// Whatever the grammar refuses has a mistake that can be said, and nothing else has.
func FuzzWrong(f *testing.F) {
	for _, seed := range []string{"m.com", "*.m.com", "https://M.com:x/Y:z@sha256:1", "a..b/", "[::1]", "\xff", "*.", "*.:", "a:5/b_c", "x*y.com"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []value.Kind{value.Mirror, value.Source} {
			says := value.Wrong(text, kind)
			if strings.HasPrefix(says, "; ") != kind.Takes(text) {
				t.Errorf("%q: says %q, and the grammar takes it: %t", text, says, kind.Takes(text))
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
	for _, n := range []int{31, 100, 101, 1 << 20} {
		if got := value.Quote(strings.Repeat("\U000e0001", n)); len(got) > 310 || !strings.Contains(got, `\U000e0001...\U000e0001`) {
			t.Errorf("%d: %s", n, got)
		}
	}
	if got := value.Quote(strings.Repeat("\n\xff", 200)); strings.Contains(got, "\n") || !utf8.ValidString(got) || len(got) > 500 {
		t.Error(got)
	}
}
