// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect/failures"
	"github.com/mirrorset/mirrorset/internal/route"
)

// FailedPulls compares the pulls that failed since a change of the rules with those before it, for the images that the change touches (C10). The
// change is watched from the first call for it on.
func (s *Server) FailedPulls(change failures.Change) failures.Comparison {
	return s.failed.Compare(change)
}

// noteFailed records a mirror that is passed over because it fails, or, without a mirror, a pull that is refused. It records nothing if the client
// closed the connection.
func (s *Server) noteFailed(r *http.Request, q question, mirror, why string) {
	if r.Context().Err() == nil {
		s.failed.Note(failures.Failure{Host: q.host, Repository: q.repository, Object: q.object, IsBlob: q.kind == blobs, Mirror: mirror, Why: why, Rules: q.rules, At: q.at})
	}
}

// refusal names the policy that blocks the source, and the reason why no mirror answers.
func (s *Server) refusal(q question, way route.Route, by string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "source %s is blocked by policy NeverContactSource", way.Rule.Source)
	if by != "" {
		fmt.Fprintf(&text, " of set %s", by)
	}
	switch {
	case way.Rule.NoneServes(q.mode):
		text.WriteString(", and no mirror can serve it")
	case len(way.Rule.MirrorsFor(q.mode)) == 0 && q.mode == mirrors.ByTag:
		text.WriteString(", and it has no mirror for images by tag; name one in an ImageTagMirrorSet")
	case len(way.Mirrors) == 0:
		text.WriteString("; none of its mirrors may be contacted")
	}
	for _, m := range way.Mirrors {
		if v, ok := s.scout.memory.recall(q, m); ok && v.why != "" {
			fmt.Fprintf(&text, "; mirror %s: %s", name(m), words(v.why))
		}
	}
	return text.String()
}
