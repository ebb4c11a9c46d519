// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect/upstream"
	"github.com/mirrorset/mirrorset/internal/route"
)

// manifestTypes are the types that containerd accepts.
var manifestTypes = []string{
	"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json", "*/*",
}

// Ask requests a manifest, by tag or digest, from a registry and reports if the registry has it. The request is like one of a runtime on this node:
// it has the node's TLS settings and, for a mirror of the rules, the grants for that mirror. The caller states if the place is the image's source,
// which gets no grants (G4). Ask never contacts a place that the rules block, even if other rules lead there. The answer holds nothing secret.
func (s *Server) Ask(ctx context.Context, at route.Target, manifest string, isSource bool) route.Answer {
	rules := s.rules.Load()
	if rules == nil || s.refuses(&url.URL{Scheme: "https", Host: at.Host, Path: route.APIRoot + "/" + at.Repository}) {
		return route.Answer{Found: route.Blocked, Why: "it must not be contacted"}
	}
	var granted grants.Grants
	if !isSource && rules.Router.HasMirror(mirrors.Scope(name(at))) {
		granted = rules.Grants
	}
	how, err := s.relay.accessTo(at, granted)
	if err != nil {
		return route.Answer{Found: route.Fails, Why: words(fmt.Sprintf("the node's TLS settings for it are unusable: %v", err))}
	}
	if how == nil {
		how = &access{tls: s.relay.settings.Of(false, nil)}
	}
	resp, err := s.relay.pool.Open(ctx, upstream.Request{
		Method: http.MethodHead, Target: at, Object: manifests + "/" + manifest, Header: http.Header{"Accept": manifestTypes},
		TLS: how.tls, Login: how.login, Patience: s.scout.deadline,
	})
	var refused *upstream.Refused
	var untrusted *upstream.Untrusted
	switch {
	case err == nil:
		_ = resp.Body.Close() // there is nothing in it
		answer := route.Answer{Found: route.Fails, Why: upstream.StatusText(resp.StatusCode)}
		switch resp.StatusCode {
		case http.StatusOK:
			return route.Answer{Found: route.Has}
		case http.StatusNotFound, http.StatusGone:
			answer.Found = route.Lacks
		}
		return answer
	case errors.Is(err, upstream.ErrAstray):
		return route.Answer{Found: route.Blocked, Why: words(err.Error())}
	case errors.Is(err, upstream.ErrSilent):
		return route.Answer{Found: route.Silent, Why: words(err.Error())}
	case errors.As(err, &refused), isSource && errors.As(err, &untrusted):
		return route.Answer{Found: route.Refuses, Why: words(err.Error())}
	}
	return route.Answer{Found: route.Fails, Why: words(err.Error())}
}

// dialing matches the part of an error about a connection that comes before the cause. It names the place, which the reader already knows, and
// addresses of the node's network.
var dialing = regexp.MustCompile(`dial tcp[^,]*: `)

// maxWords bounds the text about one answer, in bytes.
const maxWords = 200

// words describes on one short line what went wrong.
func words(why string) string {
	if why == "" {
		return ""
	}
	ways := strings.Split(dialing.ReplaceAllString(why, ""), ", and ") // by TLS and without
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.Join(slices.Compact(ways), ", and "))
	if len(text) > maxWords {
		text = strings.ToValidUTF8(text[:maxWords], "") + "..."
	}
	return text
}
