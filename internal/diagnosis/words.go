// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"regexp"
	"strings"

	"github.com/mirrorset/mirrorset/internal/accesslog"
)

// state is the result of one place in an attempt.
type state int

// The states. Of two that one place came to, the first one counts; and so it does of two mirrors.
const (
	wrong state = iota
	untrusted
	uncertified
	early
	refusing
	proxied
	silent
	unreachable
	failing
	limited
	incomplete
	patchy
	cameBack
	missing
	blocked
	has
	unknown
)

// words are the words that runtimes, their libraries and the redirector use for a state, in lower case. The first matching line counts. For
// an address that cannot be resolved, and for a token server that fails, containerd reports that it failed to authorize. For an image
// without the platform, it reports that the image was not found.
var words = []struct {
	state
	pattern *regexp.Regexp
}{
	{blocked, regexp.MustCompile(`is blocked by policy nevercontactsource|registry \S+ is blocked in `)},
	{proxied, regexp.MustCompile(`proxyconnect |proxy authentication required|do request: \w+ "url": (forbidden|bad gateway|service unavailable|gateway timeout)\b`)},
	{untrusted, regexp.MustCompile(`x509: certificate signed by unknown authority|certificate is not trusted`)},
	{early, regexp.MustCompile(`x509: certificate has expired or is not yet valid: current time \S+ is before `)},
	{uncertified, regexp.MustCompile(`x509: |the certificate of \S+ is good from |server gave http response to https client|first record does not look like a tls handshake`)},
	{wrong, regexp.MustCompile(`unexpected commit digest|failed size validation|is another one, with digest|does not match provided manifest digest`)},
	{limited, regexp.MustCompile(`\b429 too many requests|\bstatuscode: 429\b|toomanyrequests|too many requests`)},
	{silent, regexp.MustCompile(`i/o timeout|tls handshake timeout|client\.timeout exceeded|context deadline exceeded|timeout awaiting response|does not answer`)},
	{unreachable, regexp.MustCompile(`connection refused|no such host|no route to host|network is unreachable|connection reset|server misbehaving|: eof\b|broken pipe`)},
	{failing, regexp.MustCompile(`\b5\d\d (internal server error|not implemented|bad gateway|service unavailable|gateway timeout)|http 5\d\d|\bstatuscode: 5\d\d`)},
	{refusing, regexp.MustCompile(`\b401 unauthorized|\b403 forbidden|unauthorized: |authentication required|pull access denied|insufficient_scope|no basic auth credentials|authorization failed|failed to authorize|access to the resource is denied|invalid username/password|refuses the login|there is no login for it|: denied(: |$)|\bstatuscode: 40[13]\b`)},
	{missing, regexp.MustCompile(`\b404 not found|\b410 gone|\bstatuscode: 4(04|10)\b|manifest unknown|name unknown|not found`)},
	{failing, regexp.MustCompile(`\bunknown: |no space left on device|disk quota exceeded|read-only file system`)},
}

// read returns the state that a text is about.
func read(text string) state {
	text = strings.ToLower(text)
	for _, w := range words {
		if w.pattern.MatchString(text) {
			return w.state
		}
	}
	return unknown
}

// stateOf is the state that tries show. Only the words of an outcome that the redirector calls an error can distinguish states.
func stateOf(t accesslog.Tries) state {
	switch t.Outcome {
	case accesslog.Served:
		return has
	case accesslog.Missing:
		return missing
	case accesslog.Silent:
		return silent
	case accesslog.WrongContent:
		return wrong
	case accesslog.CameBack:
		return cameBack
	case accesslog.Refused:
		return blocked
	case accesslog.Credentials:
		if s := read(t.Why); s == untrusted || s == uncertified || s == early {
			return s
		}
		return refusing
	case accesslog.Error:
		switch s := read(t.Why); s {
		case unknown, missing, has, blocked:
			return failing
		default:
			return s
		}
	}
	return unknown
}

// said is what a place in a state did, in the past.
var said = map[state]string{
	wrong: "had different content under the digest", untrusted: "had a certificate of an authority that the node does not trust", uncertified: "had no certificate that the node accepts",
	early: "had a certificate that is not valid yet by the clock of the node", proxied: "could not be reached through the node's proxy",
	incomplete: "had the manifest, but lacked a part of the image", patchy: "had a part of the image, but lacked another",
	refusing: "refused access", silent: "did not answer in time", unreachable: "could not be reached", failing: "failed", limited: "had received too many requests",
	cameBack: "refused the runtime or did not have it",
	missing:  "did not have it", has: "had it, as far as the redirector saw",
}

// The redirector says in its refusal what a mirror answered it. One that answered neither that it has the image nor that it lacks it was left to the runtime,
// which came back from there. Of these, one that refused the redirector, which asked without a login, need not have refused the runtime: most registries
// refuse strangers what everybody may read as well.
const answeredRedirector = "it answered "

var refusedRedirector = regexp.MustCompile(`^it answered 40[13] `)

// The URL that a runtime names for the request which failed.
var address = regexp.MustCompile(`https?://([^/"\s]+)(/v2/_mirrorset/[^/"\s]+)?`)

// hostOf returns the host of the request that a text is about, and whether it is the node's redirector; "" where it names none.
func hostOf(text string) (host string, isRedirector bool) {
	found := address.FindStringSubmatch(text)
	if found == nil {
		return "", false
	}
	return found[1], found[2] != ""
}

// element is the part of the redirector's paths that only root on the node may know (docs/reference/semantics.md N10). A runtime's message
// still contains it, or as much of it as there is room for.
var element = regexp.MustCompile(`(/v2/_mirrorset/)[0-9a-f]+`)

// harmless removes that part from a text.
func harmless(text string) string {
	return element.ReplaceAllString(text, "${1}...")
}
