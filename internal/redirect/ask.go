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

// manifestTypes are those that containerd takes.
var manifestTypes = []string{
	"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json", "*/*",
}

// Ask asks a registry whether it has a manifest, which a tag or a digest names, as it is asked by the runtimes of this node: with its TLS settings and,
// where it is a mirror of the rules, with what it is granted. Whoever asks says whether the place is the image's source, which is granted
// nothing (G4). What the rules block is not asked, whatever rules lead there. The answer holds nothing secret.
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

// dialing is what stands before the cause in an error about a connection: the place, which whoever reads it knows, and addresses of the node's network.
var dialing = regexp.MustCompile(`dial tcp[^,]*: `)

// maxWords bounds what is told of one answer, in bytes.
const maxWords = 200

// words says on one line, and not a long one, what went wrong.
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
