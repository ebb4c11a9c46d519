// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"cmp"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/mirrorset/mirrorset/internal/route"
)

// refuses reports if a registry must not redirect to a place: a blocked place (Q4), this redirector, or a place whose spelling cannot be compared.
func (s *Server) refuses(to *url.URL) bool {
	host, port, ok := addressOf(to)
	at, router := path.Clean("/"+to.Path), s.rules.Load().Router
	return !ok || strings.HasPrefix(at, route.RedirectorPath) || router.Blocks(host+":"+port, at) || (port == "80" || port == "443") && router.Blocks(host, at)
}

// addressOf returns the host and port of a URL as sources are written. It is not ok if an HTTP client reads another host from the URL, as with
// letters beyond ASCII.
func addressOf(of *url.URL) (host, port string, ok bool) {
	host = strings.ToLower(strings.TrimSuffix(of.Hostname(), "."))
	if address, err := netip.ParseAddr(host); err == nil {
		host = address.Unmap().String()
	}
	number, err := strconv.ParseUint(cmp.Or(of.Port(), map[string]string{"http": "80", "https": "443"}[of.Scheme]), 10, 16)
	beyond := func(r rune) bool { return r > unicode.MaxASCII }
	return host, strconv.FormatUint(number, 10), err == nil && !strings.ContainsFunc(host, beyond)
}

func name(t route.Target) string {
	return t.Host + "/" + t.Repository
}

func urlOf(scheme string, t route.Target, q question) string {
	return scheme + "://" + t.Host + "/v2/" + t.Repository + "/" + q.kind + "/" + q.object
}
