// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis_test

import (
	"slices"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/diagnosis"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

const (
	refused401 = "first.example:5000 answered 401 Unauthorized, and there is no login for it"
	unknownCA  = "the certificate of first.example:5000: x509: certificate signed by unknown authority"
	noRoute    = "dial tcp 10.1.2.3:5000: connect: no route to host"
)

// What each place came to, as the redirector saw it.
func TestTheAnswersOfAnAttemptTellTheCause(t *testing.T) {
	lacks := []accesslog.Tries{try(first, accesslog.Missing, "it answered 404 Not Found"), try(second, accesslog.Missing, "")}
	for name, tt := range map[string]struct {
		c     diagnosis.Case
		cause diagnosis.Cause
		texts []string
	}{
		"nobody has it, and the source is blocked": {
			fails(refusal(""), by(t, closed), saw("source quay.io/team is blocked", append(lacks, source(accesslog.Refused))...)),
			diagnosis.NobodyHasIt, []string{"at the last attempt, 2026-11-29T18:00:50Z, mirrors " + first + " and " + second + " did not have it", `source "quay.io/team" is blocked by 30-airgap`, "Correct the digest in the Pod", "kubectl mirrors check " + byDigest},
		},
		"nobody has it, and the source that is streamed neither": {fails(lost(byDigest), by(t, open), saw("", append(lacks, source(accesslog.Missing))...)), diagnosis.NobodyHasIt, []string{"the source did not have it"}},
		"containerd says that it was not found, which it says of a source that is away as well": {
			fails(lost(byDigest), by(t, open), saw("", append(lacks, source(accesslog.Sent))...)),
			diagnosis.NobodyGaveIt, []string{"did not provide it either; it is unknown if it lacks the image, is unreachable from the node or requires a login", "journalctl -u containerd"},
		},
		"one mirror lacks it, and one is down": {
			fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Missing, ""), try(second, accesslog.Error, noRoute), source(accesslog.Refused))),
			diagnosis.MirrorDown, []string{"mirror " + second + " could not be reached, mirror " + first + " did not have it, and source", "Make sure that second.example runs"},
		},
		"a mirror is silent":                 {fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Silent, "it does not answer within 10s"))), diagnosis.MirrorDown, []string{"mirror " + first + " did not answer in time"}},
		"a mirror fails":                     {fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Error, "it answered 503 Service Unavailable"))), diagnosis.MirrorDown, []string{"mirror " + first + " failed"}},
		"an error that says nothing we know": {fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Error, "odd"))), diagnosis.MirrorDown, []string{"failed"}},
		"a mirror has other content": {
			fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.WrongContent, "its manifest is another one"), try(second, accesslog.Silent, ""))),
			diagnosis.WrongContent, []string{"mirror " + first + " had different content under the digest, mirror " + second + " did not answer in time"},
		},
		"the second has other content": {
			fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Silent, ""), try(second, accesslog.WrongContent, ""))),
			diagnosis.WrongContent, []string{"Push the image to " + second},
		},
		"no mirror is for tags, and the source did not give it": {
			fails(lost(byTag), image(byTag), by(t, open), saw("", source(accesslog.Sent))),
			diagnosis.Undecided, []string{"the redirector sent the runtime to the source, which did not provide it", "not found"},
		},
		"a mirror wants a login": {
			fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Credentials, refused401), try(second, accesslog.Missing, ""))),
			diagnosis.LoginWanted, []string{"refused access", "kubectl -n mirrorset-system create secret docker-registry mirror-credentials --docker-server=first.example:5000", "private-mirror.md"},
		},
		"a mirror refuses the login": {
			fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Credentials, "it refuses the login that it was given: first.example:5000 answered 401 Unauthorized"))),
			diagnosis.LoginWanted, []string{"Put the right login for first.example:5000 into Secret mirror-credentials", "!create secret"},
		},
		"an authority is not known": {
			fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Error, unknownCA))),
			diagnosis.UnknownAuthority, []string{"kubectl -n mirrorset-system create configmap mirror-authorities --from-file=first.example..5000=ca.crt"},
		},
		"a token server's authority is not known": {fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Credentials, unknownCA))), diagnosis.UnknownAuthority, nil},
		"a certificate is expired": {
			fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Error, "the certificate of first.example:5000 is good from 2020-01-01 to 2021-01-01 only"))),
			diagnosis.BadCertificate, []string{"mirrorset.io/insecure-mirrors"},
		},
		"a mirror has too many requests": {fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Error, "it answered 429 Too Many Requests"))), diagnosis.RateLimited, []string{"had received too many requests"}},
		"the source has, and no mirror has it": {
			fails(`failed to resolve reference "`+byDigest+`": unexpected status from HEAD request to https://quay.io/v2/team/app/manifests/sha256:01: 429 Too Many Requests`, by(t, open), saw("", append(lacks, source(accesslog.Sent))...)),
			diagnosis.RateLimited, []string{"the source had received too many requests", "Name a mirror for the source in a set"},
		},
		"the source cannot be reached, and no mirror has it": {
			fails(`failed to do request: Head "https://quay.io/v2/team/app/manifests/sha256:01": dial tcp 1.2.3.4:443: i/o timeout`, by(t, open), saw("", append(lacks, source(accesslog.Sent))...)),
			diagnosis.SourceDown, []string{"the source did not answer in time", "Make sure that quay.io is reachable from node node-1"},
		},
		"the source wants a login, and no mirror has it": {
			fails(`unexpected status from HEAD request to https://quay.io/v2/team/app/manifests/sha256:01: 401 Unauthorized`, by(t, open), saw("", append(lacks, source(accesslog.Sent))...)),
			diagnosis.LoginWanted, []string{"the source refused access", "imagePullSecret", "!mirror-credentials"},
		},
		"a mirror is down, and the source is too, of which containerd says nothing": {
			fails(`failed to do request: Head "https://first.example:5000/v2/copy/app/manifests/sha256:01": dial tcp 10.1.2.3:5000: connect: connection refused`, by(t, open),
				saw("", try(first, accesslog.Error, noRoute), try(second, accesslog.Missing, ""), source(accesslog.Sent))),
			diagnosis.MirrorDown, []string{"mirror " + first + " could not be reached", "the redirector sent the runtime to the source, which did not provide it either"},
		},
		"the redirector could not tell, and containerd says it of the mirror": {
			fails(`failed to do request: Head "https://first.example:5000/v2/copy/app/manifests/sha256:01": tls: failed to verify certificate: x509: certificate signed by unknown authority`, by(t, open),
				saw("", try(first, accesslog.Sent, ""), try(second, accesslog.Missing, ""), source(accesslog.Sent))),
			diagnosis.UnknownAuthority, []string{"mirror " + first + " had a certificate of an authority that the node does not trust"},
		},
		"the runtime came back from a mirror that has it": {
			fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Served, ""), try(second, accesslog.Missing, ""), source(accesslog.Refused))),
			diagnosis.CameBack, []string{"mirror " + first + " had it, as far as the redirector saw", "it is unknown why the runtime did not pull it from there", "journalctl -u containerd"},
		},
		"the image was served, and the runtime says something odd": {fails("odd", by(t, open), saw("", try(first, accesslog.Served, ""))), diagnosis.Undecided, []string{"the runtime said: odd"}},
	} {
		t.Run(name, func(t *testing.T) { want(t, diagnosis.Diagnose(tt.c), []diagnosis.Cause{tt.cause}, tt.texts...) })
	}
}

// Without the pulls, the runtime's message has to do.
func TestTheRuntimesMessageTellsTheCauseWherePullsAreNotSeen(t *testing.T) {
	// As v5.42.0 of CRI-O's library says them.
	ping := func(host, why string) string {
		return `fetching manifest sha256:01 in x: pinging container registry ` + host + `: Get "https://` + host + `/v2/": ` + why
	}
	reading := func(why string) string { return "reading manifest sha256:01 in first.example:5000/copy/app: " + why }
	failed := func(firstWhy, secondWhy, last string) string {
		return "initializing source docker://" + byDigest + ": (Mirrors also failed: [" + first + digest + ": " + firstWhy + "]\n[" + second + digest + ": " + secondWhy + "]): " + byDigest + ": " + last
	}
	const unknownManifest = "reading manifest sha256:01 in x: manifest unknown"
	isBlocked := `registry quay.io/team is blocked in one of ["/etc/containers/registries.conf" "/etc/containers/registries.conf.d"]`
	for name, tt := range map[string]struct {
		c     diagnosis.Case
		cause diagnosis.Cause
		texts []string
	}{
		"the refusal names each mirror": {
			fails(refusal("; mirror "+first+": it answered 404 Not Found; mirror "+second+": it does not answer within 10s"), by(t, closed), unseen),
			diagnosis.MirrorDown, []string{"mirror " + second + " did not answer in time, mirror " + first + " did not have it, and source"},
		},
		"the refusal names one mirror of two": {fails(refusal("; mirror "+first+": it answered 404 Not Found"), by(t, closed), unseen), diagnosis.Undecided, []string{"mirror " + first + " did not have it", "kubectl mirrors check"}},
		"containerd names a host that two mirrors are on": {
			fails(`failed to do request: Head "https://first.example:5000/v2/copy/app/manifests/sha256:01": x509: certificate signed by unknown authority`, by(t, set("10", "quay.io/team", "", "first.example:5000/copy", "first.example:5000/other")), unseen),
			diagnosis.Undecided, []string{"x509"},
		},
		"containerd names Docker Hub by its other name": {
			fails(`failed to do request: Head "https://registry-1.docker.io/v2/team/app/manifests/1": dial tcp: lookup registry-1.docker.io: no such host`, image("docker.io/team/app:1"), by(t, set("10", "docker.io/team", "", "first.example:5000/copy")), unseen),
			diagnosis.SourceDown, nil,
		},
		"the refusal names none":                         {fails(refusal(""), by(t, closed), unseen), diagnosis.Undecided, []string{"is blocked by 30-airgap"}},
		"containerd's not found, which has many reasons": {fails(lost(byDigest), by(t, open), unseen), diagnosis.Undecided, []string{"not found"}},
		"CRI-O, nobody has it":                           {fails(failed(unknownManifest, unknownManifest, isBlocked), crio, by(t, closed)), diagnosis.NobodyHasIt, []string{"mirrors " + first + " and " + second + " did not have it", "is blocked by 30-airgap"}},
		"CRI-O, nor has the source":                      {fails(failed(unknownManifest, unknownManifest, unknownManifest), crio, by(t, open)), diagnosis.NobodyHasIt, []string{"the source did not have it"}},
		"CRI-O, a mirror is down": {
			fails(failed(ping("first.example:5000", "dial tcp 10.1.2.3:5000: connect: connection refused"), unknownManifest, isBlocked), crio, by(t, closed)),
			diagnosis.MirrorDown, []string{"mirror " + first + " could not be reached, mirror " + second + " did not have it"},
		},
		"CRI-O, the kubelet says that a registry is unavailable": {
			fails("image pull failed for "+byDigest+" because the registry is unavailable: "+failed(ping("first.example:5000", "dial tcp: lookup first.example: no such host"), unknownManifest, isBlocked), crio, by(t, closed),
				func(c *diagnosis.Case) { c.Container.Reason = "RegistryUnavailable" }),
			diagnosis.MirrorDown, []string{"mirror " + first + " could not be reached"},
		},
		"CRI-O, an authority is not known": {
			fails(failed(ping("first.example:5000", "tls: failed to verify certificate: x509: certificate signed by unknown authority"), unknownManifest, isBlocked), crio, by(t, closed)),
			diagnosis.UnknownAuthority, []string{"mirror-authorities"},
		},
		"CRI-O, a mirror without TLS": {fails(failed(ping("first.example:5000", "http: server gave HTTP response to HTTPS client"), unknownManifest, isBlocked), crio, by(t, closed)), diagnosis.BadCertificate, nil},
		"CRI-O, a login is wanted": {
			fails(failed(reading("authentication required"), unknownManifest, isBlocked), crio, by(t, closed)),
			diagnosis.LoginWanted, []string{"create secret docker-registry"},
		},
		"CRI-O, a mirror that refuses":              {fails(failed(reading("denied"), unknownManifest, isBlocked), crio, by(t, closed)), diagnosis.LoginWanted, nil},
		"CRI-O, a mirror that refuses in no form":   {fails(failed(reading(`StatusCode: 403, "go away"`), unknownManifest, isBlocked), crio, by(t, closed)), diagnosis.LoginWanted, nil},
		"CRI-O, a place that is no registry at all": {fails(failed(reading(`StatusCode: 404, "nothing here"`), unknownManifest, isBlocked), crio, by(t, closed)), diagnosis.NobodyHasIt, nil},
		"CRI-O, a mirror that fails":                {fails(failed(reading("received unexpected HTTP status: 503 Service Unavailable"), unknownManifest, isBlocked), crio, by(t, closed)), diagnosis.MirrorDown, []string{"mirror " + first + " failed"}},
		"CRI-O, a mirror that fails in no form":     {fails(failed(reading(`StatusCode: 502, "bad"`), unknownManifest, isBlocked), crio, by(t, closed)), diagnosis.MirrorDown, nil},
		"CRI-O, the source has too many requests":   {fails(failed(unknownManifest, unknownManifest, "reading manifest sha256:01 in quay.io/team/app: toomanyrequests: slow down"), crio, by(t, open)), diagnosis.RateLimited, []string{"the source had received too many requests"}},
		"CRI-O, other content":                      {fails(failed("Manifest does not match provided manifest digest sha256:01", unknownManifest, isBlocked), crio, by(t, closed)), diagnosis.WrongContent, nil},
	} {
		t.Run(name, func(t *testing.T) { want(t, diagnosis.Diagnose(tt.c), []diagnosis.Cause{tt.cause}, tt.texts...) })
	}
}

// What was so ten minutes ago is not told as of now.
func TestWhatIsOverIsSaidToBe(t *testing.T) {
	down := saw("x", try(first, accesslog.Error, noRoute), try(second, accesslog.Missing, ""))
	wanted := saw("x", try(first, accesslog.Credentials, refused401), try(second, accesslog.Missing, ""))
	other := "quay.io/team/other:1"
	granted := func(seconds int) func(*diagnosis.Case) { return func(c *diagnosis.Case) { c.Granted = at(seconds) } }
	for name, tt := range map[string]struct {
		c     diagnosis.Case
		cause diagnosis.Cause
		texts []string
	}{
		"the mirror has served another image since": {
			fails(refusal(""), by(t, closed), down, sawAt(60, other, "", try("first.example:5000/copy/other", accesslog.Served, ""))),
			diagnosis.Mended, []string{"could not be reached", "it has answered the node since then, at 2026-11-29T18:01:49Z, so the problem may be over", "The kubelet tries again by itself"},
		},
		"it has said that it lacks another since":      {fails(refusal(""), by(t, closed), down, sawAt(60, other, "", try("first.example:5000/copy/other", accesslog.Missing, ""))), diagnosis.Mended, nil},
		"it served another before":                     {fails(refusal(""), by(t, closed), sawAt(-60, other, "", try("first.example:5000/copy/other", accesslog.Served, "")), down), diagnosis.MirrorDown, nil},
		"another mirror has served since":              {fails(refusal(""), by(t, closed), down, sawAt(60, other, "", try("second.example/other", accesslog.Served, ""))), diagnosis.MirrorDown, nil},
		"it is silent still":                           {fails(refusal(""), by(t, closed), down, sawAt(60, other, "", try("first.example:5000/copy/other", accesslog.Silent, ""))), diagnosis.MirrorDown, nil},
		"a login for another repository says nothing":  {fails(refusal(""), by(t, closed), wanted, sawAt(60, other, "", try("first.example:5000/copy/other", accesslog.Served, ""))), diagnosis.LoginWanted, nil},
		"the logins were changed since":                {fails(refusal(""), by(t, closed), wanted, granted(20)), diagnosis.Mended, []string{"have changed since then, at 2026-11-29T18:01:10Z"}},
		"the logins were changed before":               {fails(refusal(""), by(t, closed), wanted, granted(-20)), diagnosis.LoginWanted, nil},
		"a changed login does not bring a mirror back": {fails(refusal(""), by(t, closed), down, granted(20)), diagnosis.MirrorDown, nil},
		"one of two mirrors is back": {
			fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Silent, ""), try(second, accesslog.Error, noRoute)), sawAt(60, other, "", try("first.example:5000/copy/other", accesslog.Served, ""))),
			diagnosis.MirrorDown, []string{"Make sure that second.example runs"},
		},
	} {
		t.Run(name, func(t *testing.T) { want(t, diagnosis.Diagnose(tt.c), []diagnosis.Cause{tt.cause}, tt.texts...) })
	}
}

// An older pull of the image, or one of an attempt that goes on, is not what the last attempt came to.
func TestOnlyThePullOfTheAttemptTellsOfIt(t *testing.T) {
	older := sawAt(-300, "", "x", try(first, accesslog.Silent, ""), try(second, accesslog.Silent, ""))
	this := saw("x", try(first, accesslog.Missing, ""), try(second, accesslog.Missing, ""), source(accesslog.Refused))
	later := sawAt(60, "", "x", try(first, accesslog.Silent, ""))
	again := func(c *diagnosis.Case) {
		c.Events = []diagnosis.Event{
			{Reason: "Failed", Message: `Failed to pull image "` + byDigest + `": ` + refusal(""), At: now, Warns: true},
			{Reason: "Pulling", Message: `Pulling image "` + byDigest + `"`, At: at(59)},
		}
	}
	for name, tt := range map[string]struct {
		c     diagnosis.Case
		cause diagnosis.Cause
		texts []string
	}{
		"an older one as well":         {fails(refusal(""), by(t, closed), older, this), diagnosis.NobodyHasIt, nil},
		"an older one alone":           {fails(refusal(""), by(t, closed), older), diagnosis.Undecided, nil},
		"one of an attempt that runs":  {fails(refusal(""), again, by(t, closed), this, later), diagnosis.NobodyHasIt, nil},
		"one that no event tells of":   {fails(refusal(""), by(t, closed), this, later), diagnosis.MirrorDown, []string{"at the last attempt, 2026-11-29T18:01:50Z, "}},
		"one of another image":         {fails(refusal(""), by(t, closed), sawAt(0, "quay.io/team/other:1", "x", try(first, accesslog.Silent, ""))), diagnosis.Undecided, nil},
		"one where no event is left":   {fails(refusal(""), func(c *diagnosis.Case) { c.Events = []diagnosis.Event{} }, by(t, closed), this), diagnosis.NobodyHasIt, nil},
		"a fault that the node tells":  {fails(refusal(""), by(t, closed), unseen, fault("first.example:5000/copy")), diagnosis.MirrorDown, nil},
		"a fault of another namespace": {fails(refusal(""), by(t, closed), unseen, fault("first.example:5000/other")), diagnosis.Undecided, nil},
	} {
		t.Run(name, func(t *testing.T) { want(t, diagnosis.Diagnose(tt.c), []diagnosis.Cause{tt.cause}, tt.texts...) })
	}
}

func fault(mirror string) func(*diagnosis.Case) {
	return func(c *diagnosis.Case) {
		c.Node.Faults = []diagnosis.Fault{{Mirror: mirror, State: "Silent", Since: at(-90), Message: "it does not answer within 10s"}}
	}
}

func TestTheEvidenceIsInTheOrderOfTimeAndGivesNoSecretAway(t *testing.T) {
	d := diagnosis.Diagnose(fails(refusal(""), by(t, closed), fault("first.example:5000/copy"), saw("source quay.io/team is blocked", try(first, accesslog.Silent, "it does not answer within 10s")),
		func(c *diagnosis.Case) { c.Node.Says = []string{"RuntimeReady: mirror first.example:5000 is odd"} }))
	got := ""
	for _, e := range d.Evidence {
		when := "-"
		if e.At != nil {
			when = e.At.Format(time.TimeOnly)
		}
		got += when + " " + e.Of + ": " + e.Text + "\n"
	}
	wanted := "17:59:20 node: the node has since reported mirror first.example:5000/copy as Silent: it does not answer within 10s\n" +
		"18:00:49 event: Pulling: Pulling image \"" + byDigest + "\"\n" +
		"18:00:49 mirror " + first + ": silent (2 requests): it does not answer within 10s\n" +
		"18:00:50 redirector: refused: source quay.io/team is blocked\n" +
		"18:00:50 event: Failed: Failed to pull image \"" + byDigest + "\": failed to pull and unpack image \"" + byDigest + "\": failed to resolve reference \"" + byDigest + "\": unexpected status from HEAD request to " +
		"http://127.0.0.1:289/v2/_mirrorset/.../source/team/app/manifests/sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef?ns=quay.io: 403 Forbidden\n" +
		"denied: source quay.io/team is blocked by policy NeverContactSource of set 30-airgap\n" +
		"- node: RuntimeReady: mirror first.example:5000 is odd\n"
	if got != wanted {
		t.Errorf("got:\n%s\nwant:\n%s", got, wanted)
	}
}

func TestARedirectorThatSawNothingIsEvidence(t *testing.T) {
	saysSo := func(c diagnosis.Case) bool {
		return slices.ContainsFunc(diagnosis.Diagnose(c).Evidence, func(e diagnosis.Evidence) bool { return e.Text == "it saw nothing of the last attempt" })
	}
	for name, tt := range map[string]struct {
		c    diagnosis.Case
		want bool
	}{
		"it would have":               {fails(lost(byDigest), by(t, open)), true},
		"it began later":              {fails(lost(byDigest), by(t, open), func(c *diagnosis.Case) { c.Log.Since = now }), false},
		"it saw the attempt":          {fails(lost(byDigest), by(t, open), saw("", source(accesslog.Sent))), false},
		"there is no mirror":          {fails(lost(byDigest), by(t)), false},
		"nobody may see what it saw":  {fails(lost(byDigest), by(t, open), unseen), false},
		"nobody knows of the attempt": {fails(lost(byDigest), by(t, open), func(c *diagnosis.Case) { c.Events = []diagnosis.Event{} }), false},
	} {
		if got := saysSo(tt.c); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// The names of images can have any words in them.
func TestTheNameOfAnImageIsNoAnswer(t *testing.T) {
	const name = "quay.io/team/unauthorized-x509/toomanyrequests:404"
	c := fails(`failed to pull and unpack image "`+name+`": failed to resolve reference "`+name+`": failed to do request: Head "https://quay.io/v2/team/unauthorized-x509/toomanyrequests/manifests/404": dial tcp 1.2.3.4:443: connect: connection refused`,
		image(name), by(t, set("10", "quay.io/team", mirrors.AllowContactingSource, "first.example:5000/copy")))
	want(t, diagnosis.Diagnose(c), []diagnosis.Cause{diagnosis.SourceDown})
}
