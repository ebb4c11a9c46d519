// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package value

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// Wrong describes what is wrong with a value that the grammar refuses, and what to write instead.
func Wrong(text string, kind Kind) string {
	m, rest := look(text, kind)
	remedy := "write " + kind.form()
	// The meaning of a value with a star or an invalid character is unknown.
	if kind.Takes(rest) && !strings.Contains(text, "*") && strings.TrimSpace(text) == plain(text) {
		remedy = "write " + Quote(rest)
	}
	return strings.Join(m.found, ", and ") + "; " + remedy
}

// look finds which parts of a value are wrong, each as a clause that begins with "it". It removes each part and looks at the rest, so that
// people have to correct a value only once. It returns the remaining text.
func look(text string, kind Kind) (m mistakes, rest string) {
	if strings.TrimSpace(text) == "" {
		m.add("it is empty")
		return m, ""
	}
	if rest = m.characters(text); len(rest) < len(strings.TrimSpace(text)) {
		return m, rest // what is around such characters says nothing
	}
	if s := scheme.FindString(rest); s != "" {
		m.add("it begins with the scheme %s", Quote(s))
		rest = rest[len(s):]
	}
	rest = m.wildcard(rest, kind)
	rest = m.suffixes(rest)
	rest = m.slashes(rest)
	host, path, hasPath := strings.Cut(rest, "/")
	m.host(host)
	if !hasPath {
		return m, host
	}
	path = m.tag(path)
	m.path(path)
	return m, host + "/" + path
}

type mistakes struct{ found []string }

func (m *mistakes) add(format string, args ...any) {
	m.found = append(m.found, fmt.Sprintf(format, args...))
}

// characters looks for characters that are allowed nowhere.
func (m *mistakes) characters(text string) string {
	if strings.ContainsFunc(text, unicode.IsSpace) {
		what := "a space"
		if strings.ContainsAny(text, "\n\r") {
			what = "a line break"
		}
		m.add("it has %s", what)
	}
	if at := strings.IndexFunc(text, strange); at >= 0 {
		m.add("it has the character %s", Quote(string([]rune(text[at:])[:1])))
	}
	return plain(text)
}

func strange(r rune) bool {
	return !unicode.IsSpace(r) && (r <= ' ' || r > '~' || strings.ContainsRune(`"'\<>|^{}$,;!()`+"`", r))
}

// plain returns a value without the characters that stand nowhere.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strange(r) {
			return -1
		}
		return r
	}, text)
}

// wildcard looks for stars.
func (m *mistakes) wildcard(rest string, kind Kind) string {
	if !strings.Contains(rest, "*") {
		return rest
	}
	below, begins := strings.CutPrefix(rest, "*.")
	switch {
	case kind == Mirror:
		m.add("it has a wildcard, which a mirror cannot have")
	case !begins || strings.Contains(below, "*"):
		m.add("it has a wildcard that is not the whole first label, as in *.example.com")
	case strings.ContainsAny(below, ":/"):
		m.add("it has a port or a path after a wildcard, but a wildcard matches whole hosts only")
	}
	return strings.ReplaceAll(below, "*", "x")
}

// suffixes looks for what a reference or a URL ends with, and for a user.
func (m *mistakes) suffixes(rest string) string {
	slash := strings.IndexByte(rest, '/')
	if at := strings.IndexByte(rest, '@'); at >= 0 && at < slash {
		m.add("it has a user name, %s, before the host", Quote(rest[:at+1]))
		rest = rest[at+1:]
	} else if at >= 0 {
		m.add("it ends with the digest %s", Quote(rest[at:]))
		rest = rest[:at]
	}
	if at := strings.IndexAny(rest, "?#"); at >= 0 {
		m.add("it ends with %s, which only a URL can have", Quote(rest[at:]))
		rest = rest[:at]
	}
	return rest
}

func (m *mistakes) slashes(rest string) string {
	if strings.HasPrefix(rest, "/") {
		m.add("it begins with a slash")
	}
	if strings.HasSuffix(rest, "/") && strings.Trim(rest, "/") != "" {
		m.add("it ends with a slash")
	}
	if rest = strings.Trim(rest, "/"); strings.Contains(rest, "//") {
		m.add("it has two slashes in a row")
	}
	return rest
}

// tag looks for one behind the last component.
func (m *mistakes) tag(path string) string {
	at := strings.IndexByte(path, ':')
	if at < 0 {
		return path
	}
	if at > strings.LastIndexByte(path, '/') {
		m.add("it ends with the tag %s", Quote(path[at:]))
		return path[:at]
	}
	m.add("it has a colon in its path")
	return strings.ReplaceAll(path, ":", "")
}

func (m *mistakes) host(host string) {
	if strings.HasPrefix(host, "[") || strings.Count(host, ":") > 1 {
		m.add("it has an IPv6 address where a host name belongs")
		return
	}
	name, number, hasPort := strings.Cut(host, ":")
	switch {
	case hasPort && number == "":
		m.add("it has a colon without a port")
	case hasPort && !isPort(number):
		m.add("it has %s where a port number belongs", Quote(number))
	}
	if name == "" {
		m.add("it has no host")
		return
	}
	if !isDomain(name) {
		m.add("its host %s is not made of letters, digits and inner hyphens, joined by single dots", Quote(name))
	}
}

func (m *mistakes) path(path string) {
	if strings.ToLower(path) != path {
		m.add("it has capital letters in its path")
		path = strings.ToLower(path)
	}
	for c := range strings.SplitSeq(path, "/") {
		if c != "" && !isComponent(c) {
			m.add("its path component %s is not made of letters and digits, joined by one dot, one or two underscores, or hyphens", Quote(c))
			return
		}
	}
}
