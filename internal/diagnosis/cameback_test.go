// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis_test

import (
	"testing"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/diagnosis"
)

// A mirror that the redirector, a stranger to it, was refused by either refuses the runtime too, or lacks the image. Only the runtime saw which.
func TestAMirrorThatTheRuntimeCameBackFromIsNotSaidToWantALogin(t *testing.T) {
	const (
		stranger = "it answered 401 Unauthorized to the redirector, and containerd came back: the mirror refused containerd or does not have the image"
		denied   = "failed to resolve reference: pull access denied, repository does not exist or may require authorization: "
		noBasic  = denied + "authorization failed: no basic auth credentials"
		scope    = "failed to resolve reference: server message: insufficient_scope"
		token    = `failed to resolve reference: failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://auth.example/token?scope=x: 401 Unauthorized`
		// Of a place that only its storage refuses, no login is wanted.
		storage = `failed to copy: unexpected status from GET request to https://storage.example/blob: 403 Forbidden`
	)
	back, lacks, sent := try(first, accesslog.CameBack, stranger), try(second, accesslog.Missing, ""), source(accesslog.Sent)
	told := "; mirror " + first + ": it answered 401 Unauthorized; mirror " + second + ": it answered 404 Not Found"
	both := []string{
		"mirror " + first + " refused the runtime or did not have it", "only the runtime saw if that place refused access or lacks the image",
		"To find out which, run kubectl mirrors check --cluster-credentials " + byDigest + ", which uses the logins of the nodes", "If " + first + " does not have the image, push it there", "If it refuses access, give the nodes a login", "most registries refuse such a request even for public images",
		"kubectl -n mirrorset-system create secret docker-registry mirror-credentials --docker-server=first.example:5000", "private-mirror.md",
	}
	for name, tt := range map[string]struct {
		c     diagnosis.Case
		cause diagnosis.Cause
		texts []string
	}{
		"the redirector's refusal says no more":    {fails(refusal(told), by(t, closed), saw("x", back, lacks, source(accesslog.Refused))), diagnosis.CameBack, append(both, "mirror "+second+" did not have it", "is blocked by 30-airgap")},
		"nor where pulls are not seen":             {fails(refusal(told), by(t, closed), unseen), diagnosis.CameBack, both},
		"nor one that answers 403":                 {fails(refusal("; mirror "+first+": it answered 403 Forbidden; mirror "+second+": it answered 404 Not Found"), by(t, closed), unseen), diagnosis.CameBack, nil},
		"nor one that answers otherwise":           {fails(refusal("; mirror "+first+": it answered 307 Temporary Redirect; mirror "+second+": it answered 404 Not Found"), by(t, closed), unseen), diagnosis.CameBack, []string{"mirror " + first + " refused the runtime or did not have it", "only the runtime saw", "journalctl -u containerd", "!strangers"}},
		"but one that has too many requests":       {fails(refusal("; mirror "+first+": it answered 429 Too Many Requests"), by(t, closed), unseen), diagnosis.RateLimited, nil},
		"the source did not give it either":        {fails(lost(byDigest), by(t, open), saw("", back, lacks, sent)), diagnosis.CameBack, []string{"the redirector sent the runtime to the source, which did not provide it either", "the runtime said: ", "not found"}},
		"the source lacks it":                      {fails(lost(byDigest), by(t, open), saw("", back, lacks, source(accesslog.Missing))), diagnosis.CameBack, both},
		"another is down":                          {fails(refusal(""), by(t, closed), saw("x", back, try(second, accesslog.Silent, ""))), diagnosis.MirrorDown, []string{"mirror " + first + " refused the runtime or did not have it", "second.example"}},
		"a blob, of which the manifest was served": {fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Served, ""), back, lacks)), diagnosis.CameBack, both},
		"the source has too many requests": {
			fails("unexpected status from HEAD request to https://quay.io/v2/team/app/manifests/sha256:01: 429 Too Many Requests", by(t, open), saw("", back, lacks, sent)), diagnosis.RateLimited, []string{"mirror " + first + " refused the runtime or did not have it"},
		},
		"the source is down": {
			fails(`failed to do request: Head "https://quay.io/v2/team/app/manifests/sha256:01": dial tcp 1.2.3.4:443: i/o timeout`, by(t, open), saw("", back, lacks, sent)), diagnosis.SourceDown, []string{"mirror " + first},
		},

		// The runtime's own words decide where they can be about one place alone.
		"containerd names the mirror": {
			fails("unexpected status from HEAD request to https://first.example:5000/v2/copy/app/manifests/sha256:01: 401 Unauthorized", by(t, open), saw("", back, lacks, sent)), diagnosis.LoginWanted, []string{"mirror " + first + " refused access", "create secret"},
		},
		"it names none, and was sent to one alone":     {fails(noBasic, by(t, closed), saw("x", back, lacks, source(accesslog.Refused))), diagnosis.LoginWanted, []string{"mirror " + first + " refused access", "create secret"}},
		"it names a scope":                             {fails(scope, by(t, closed), saw("x", back, lacks, source(accesslog.Refused))), diagnosis.LoginWanted, nil},
		"it names the token server":                    {fails(token, by(t, closed), saw("x", back, lacks, source(accesslog.Refused))), diagnosis.LoginWanted, []string{"--docker-server=first.example:5000"}},
		"it names the storage":                         {fails(storage, by(t, closed), saw("x", back, lacks, source(accesslog.Refused))), diagnosis.CameBack, []string{"the runtime said: "}},
		"it was sent to the source as well":            {fails(noBasic, by(t, open), saw("", back, lacks, sent)), diagnosis.CameBack, append(both, "the runtime said: failed to resolve reference: pull access denied")},
		"it was sent to two mirrors":                   {fails(noBasic, by(t, closed), saw("x", back, try(second, accesslog.CameBack, stranger))), diagnosis.CameBack, []string{"mirrors " + first + " and " + second + " refused the runtime or did not have it"}},
		"it was perhaps sent to another":               {fails(noBasic, by(t, closed), saw("x", back, try(second, accesslog.Served, ""))), diagnosis.CameBack, nil},
		"it was sent to the source alone":              {fails(noBasic, by(t, open), saw("", try(first, accesslog.Missing, ""), lacks, sent)), diagnosis.LoginWanted, []string{"the source refused access", "imagePullSecret", "!mirror-credentials"}},
		"nobody saw where it was sent":                 {fails(noBasic, by(t, open), unseen), diagnosis.Undecided, []string{"pull access denied"}},
		"a mirror that is streamed refuses as it said": {fails(refusal("; mirror "+first+": "+refused401+"; mirror "+second+": it answered 404 Not Found"), by(t, closed), unseen), diagnosis.LoginWanted, nil},

		// What may have ended it.
		"the logins were changed since":     {fails(refusal(told), by(t, closed), saw("x", back, lacks), func(c *diagnosis.Case) { c.Granted = at(20) }), diagnosis.Mended, []string{"have changed since then"}},
		"it has served the image since":     {fails(refusal(told), by(t, closed), saw("x", back, lacks), sawAt(60, "quay.io/team/app:2", "", try(first, accesslog.Served, ""))), diagnosis.Mended, nil},
		"it has lacked another since":       {fails(refusal(told), by(t, closed), saw("x", back, lacks), sawAt(60, "quay.io/team/app:2", "", try(first, accesslog.Missing, ""))), diagnosis.CameBack, nil},
		"one is up again, of one came back": {fails(refusal(""), by(t, closed), saw("x", back, try(second, accesslog.Silent, "")), sawAt(60, "quay.io/team/other:1", "", try("second.example/other", accesslog.Served, ""))), diagnosis.CameBack, nil},
	} {
		t.Run(name, func(t *testing.T) { want(t, diagnosis.Diagnose(tt.c), []diagnosis.Cause{tt.cause}, tt.texts...) })
	}
}
