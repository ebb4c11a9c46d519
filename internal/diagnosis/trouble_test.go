// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis_test

import (
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/diagnosis"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

const (
	pull     = `failed to pull and unpack image "` + byDigest + `": `
	resolve  = pull + `failed to resolve reference "` + byDigest + `": `
	toSource = resolve + `failed to do request: Head "https://quay.io/v2/team/app/manifests/sha256:01": `
	noPart   = "mirrors are not involved"
)

// What fails on the node is not put on a place, and what a registry says of itself not on the node.
func TestTheNodesTroubleIsNotTheRegistrys(t *testing.T) {
	one := set("10", "quay.io/team", mirrors.NeverContactSource, "first.example:5000/copy")
	served := saw("", try(first, accesslog.Served, ""))
	for name, tt := range map[string]struct {
		c     diagnosis.Case
		cause diagnosis.Cause
		texts []string
	}{
		"a snapshotter is down": {
			fails(pull+`failed to prepare extraction snapshot: rpc error: code = Unavailable desc = connection error: dial unix /run/snap/x.sock: connect: connection refused`, by(t, one), served),
			diagnosis.NodeTrouble, []string{"dial unix /run/snap/x.sock)", noPart, "the runtime said: failed to prepare"},
		},
		"the runtime is down": {
			fails(`rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: connection refused"`, by(t, one)),
			diagnosis.NodeTrouble, nil,
		},
		"the content store is damaged": {
			fails(pull+`failed to extract layer (x sha256:aa) to overlayfs as "extract-1": failed to get reader from content store: content digest sha256:bb: not found`, by(t)),
			diagnosis.NodeTrouble, []string{"the content that it had pulled (failed to get reader from content store)", "crictl rmi", "!did not have it"},
		},
		"a layer is none": {
			fails(pull+`failed to extract layer (x sha256:aa) to overlayfs as "extract-1": archive/tar: invalid tar header: unknown`, by(t, one), served),
			diagnosis.NodeTrouble, []string{"either the image or the node is broken", "Pull the image on another node"},
		},
		"a layer ends early": {
			fails(pull+`failed to extract layer (x sha256:aa) to overlayfs as "extract-1": mount callback failed on /x: archive/tar: unexpected EOF: unknown`, by(t, one), served),
			diagnosis.NodeTrouble, []string{"could not unpack"},
		},
		"a layer is none, says CRI-O": {
			fails(`copying system image from manifest list: writing blob: adding layer with blob "sha256:aa": unpacking failed (error: exit status 1; output: archive/tar: invalid tar header)`, crio, by(t, closed)),
			diagnosis.NodeTrouble, []string{"either the image or the node is broken"},
		},
		"the disk is full, says CRI-O": {fails(`writing blob: storing blob to file "/var/tmp/1": write /var/tmp/1: no space left on device`, crio, by(t, closed)), diagnosis.NodeTrouble, []string{"no space left"}},
		"a mirror's disk is full, says CRI-O": {
			fails(`initializing source docker://`+byDigest+`: (Mirrors also failed: [`+first+digest+`: reading manifest sha256:01 in first.example:5000/copy/app: unknown: write /var/lib/registry/x: no space left on device]
[`+second+digest+`: reading manifest sha256:01 in second.example/app: manifest unknown]): `+byDigest+`: registry quay.io/team is blocked in /x`, crio, by(t, closed)),
			diagnosis.MirrorDown, []string{"mirror " + first + " failed", "no space left on device", "!the node could not"},
		},
		"a token server's disk is full, says CRI-O": {
			fails(`initializing source docker://`+byDigest+`: Requesting bearer token: received: no space left on device`, crio, by(t, one)), diagnosis.MirrorDown, nil,
		},
		"a token server's disk is full, says containerd": {
			fails(resolve+`pull access denied, repository does not exist or may require authorization: server message: no space left on device: authorization failed`, by(t, one), unseen), diagnosis.LoginWanted, nil,
		},
		"a registry's disk is full, says containerd": {
			fails(resolve+"unexpected status from HEAD request to https://first.example:5000/v2/copy/app/manifests/sha256:01: 507 Insufficient Storage\nunknown: no space left on device", by(t, one), unseen),
			diagnosis.MirrorDown, []string{"mirror " + first + " failed"},
		},
	} {
		t.Run(name, func(t *testing.T) { want(t, diagnosis.Diagnose(tt.c), []diagnosis.Cause{tt.cause}, tt.texts...) })
	}
}

// Where the runtime can have gone to one place alone, what it says is of that, whatever host it names.
func TestTheOnlyPlaceThatWasAskedIsTheOneThatAnswered(t *testing.T) {
	const app, mirror = "docker.io/acme/app:1", "first.example:5000/hub/acme/app"
	hub := []func(*diagnosis.Case){image(app), by(t, tagSet("hub", "docker.io", "", "first.example:5000/hub", "second.example"))}
	sent := accesslog.Tries{Place: "docker.io/acme/app", Source: true, Outcome: accesslog.Sent, Requests: 1}
	lacks := saw("", try(mirror, accesslog.Missing, ""), try("second.example/acme/app", accesslog.Missing, ""), sent)
	const denied = `pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed`
	token := func(how, what string) string {
		return `failed to authorize: failed to fetch ` + how + ` token: unexpected status from GET request to https://auth.docker.io/token?scope=x&service=registry.docker.io: ` + what
	}
	for name, tt := range map[string]struct {
		text  string
		seen  func(*diagnosis.Case)
		cause diagnosis.Cause
		texts []string
	}{
		"no host":                       {denied, lacks, diagnosis.LoginWanted, []string{"the source refused access or has no such repository (registries give the same answer for both); the runtime said: pull access denied", "imagePullSecret"}},
		"a token server, with a login":  {token("oauth", "401 Unauthorized"), lacks, diagnosis.LoginWanted, []string{"the source refused the login that it was given", "Put the right login"}},
		"a token server, without one":   {token("anonymous", "403 Forbidden"), lacks, diagnosis.LoginWanted, []string{"or has no such repository"}},
		"a token server that fails":     {token("anonymous", "503 Service Unavailable"), lacks, diagnosis.SourceDown, []string{"the source failed"}},
		"a network of caches is silent": {`failed to copy: httpReadSeeker: failed open: failed to do request: Get "https://cdn.example/aa": dial tcp 1.2.3.4:443: i/o timeout`, lacks, diagnosis.SourceDown, []string{"the source did not answer in time"}},
		"a network of caches lacks it":  {`failed to copy: httpReadSeeker: failed open: content at https://cdn.example/aa not found: not found`, lacks, diagnosis.NobodyHasIt, []string{"the source did not have it"}},
		"a storage refuses":             {`failed to copy: httpReadSeeker: failed open: unexpected status from GET request to https://cdn.example/aa: 403 Forbidden`, lacks, diagnosis.SourceDown, []string{"the source failed", "403 Forbidden", "!imagePullSecret"}},
		"not found, of no host":         {app + ": not found", lacks, diagnosis.NobodyGaveIt, nil},
		"another mirror may have said it": {
			denied, saw("", try(mirror, accesslog.Sent, ""), try("second.example/acme/app", accesslog.Missing, ""), sent), diagnosis.Undecided, []string{"pull access denied"},
		},
		"one that has it may have said it": {denied, saw("", try(mirror, accesslog.Served, ""), sent), diagnosis.CameBack, []string{"pull access denied", "!the source refused"}},
		"nobody saw who was asked":         {denied, unseen, diagnosis.Undecided, []string{"pull access denied"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := fails(`failed to pull and unpack image "`+app+`": failed to resolve reference "`+app+`": `+tt.text, append(hub, tt.seen)...)
			want(t, diagnosis.Diagnose(c), []diagnosis.Cause{tt.cause}, tt.texts...)
		})
	}
}

// What is broken at a place that has the image is not put on one that does not answer.
func TestWhatAPlaceGaveCanBeWrongOrNotAll(t *testing.T) {
	const other = pull + `failed to copy: unexpected commit digest sha256:aa, expected sha256:bb: failed precondition`
	const lacksPart = pull + `failed to copy: httpReadSeeker: failed open: could not fetch content descriptor sha256:aa (x) from remote: not found`
	part := []accesslog.Tries{try(first, accesslog.Served, ""), try(first, accesslog.Missing, ""), try(second, accesslog.Missing, "")}
	for name, tt := range map[string]struct {
		c     diagnosis.Case
		cause diagnosis.Cause
		texts []string
	}{
		"other content, of the one that had it": {
			fails(other, by(t, open), saw("", try(first, accesslog.Error, "it answered 503 Service Unavailable"), try(second, accesslog.Served, ""))),
			diagnosis.WrongContent, []string{"mirror " + second + " had different content under the digest, and mirror " + first + " failed", "Push the image to " + second},
		},
		"other content, of two": {
			fails(other, by(t, open), saw("", try(first, accesslog.Served, ""), try(second, accesslog.Served, ""), source(accesslog.Sent))),
			diagnosis.WrongContent, []string{"from one of these: mirror " + first + ", mirror " + second + ", source quay.io/team/app", "unexpected commit digest"},
		},
		"other content, of the source": {
			fails(other, by(t, open), saw("", try(first, accesslog.Missing, ""), try(second, accesslog.Missing, ""), source(accesslog.Sent))),
			diagnosis.WrongContent, []string{"the source had different content", "build the image again at the source", "!is reachable"},
		},
		"other content, of nobody knows whom": {fails(other, by(t, open), unseen), diagnosis.WrongContent, []string{"but it is unknown from which place"}},
		"a part is nowhere, and the source is blocked": {
			fails(pull+"failed to copy: httpReadSeeker: failed open: "+strings.TrimPrefix(refusal(""), resolve), by(t, closed), saw("x", append(part, source(accesslog.Refused))...)),
			diagnosis.Incomplete, []string{"mirror " + first + " had the manifest, but lacked a part of the image, mirror " + second + " did not have it", "Copy the image to " + first + " again", "!Correct the digest"},
		},
		"a part is nowhere": {fails(lacksPart, by(t, open), saw("", append(part, source(accesslog.Sent))...)), diagnosis.Incomplete, nil},
		"a part is nowhere, and the source limits": {
			fails(pull+`unexpected status from GET request to https://quay.io/v2/team/app/blobs/sha256:aa: 429 Too Many Requests`, by(t, open), saw("", append(part, source(accesslog.Sent))...)),
			diagnosis.Incomplete, []string{"the source had received too many requests"},
		},
		"the other mirror is down as well": {
			fails(lacksPart, by(t, open), saw("", try(first, accesslog.Served, ""), try(first, accesslog.Missing, ""), try(second, accesslog.Silent, ""))),
			diagnosis.MirrorDown, []string{"mirror " + second + " did not answer in time, and mirror " + first + " had the manifest, but lacked"},
		},
		"the other mirror has the part":   {fails(lacksPart, by(t, open), saw("", try(first, accesslog.Served, ""), try(first, accesslog.Missing, ""), try(second, accesslog.Served, ""))), diagnosis.Undecided, []string{"had the manifest, but lacked a part"}},
		"something else failed":           {fails(pull+"odd", by(t, open), saw("", append(part, source(accesslog.Sent))...)), diagnosis.Undecided, []string{"odd"}},
		"another place had the manifest":  {fails(lacksPart, by(t, open), saw("", source(accesslog.Sent), try(first, accesslog.Served, ""), try(first, accesslog.Missing, ""))), diagnosis.Undecided, []string{"had a part of the image, but lacked another"}},
		"another mirror had the manifest": {fails(lacksPart, by(t, open), saw("", try(second, accesslog.Served, ""), try(first, accesslog.Served, ""), try(first, accesslog.Missing, ""))), diagnosis.Undecided, []string{"mirror " + first + " had a part of the image, but lacked another"}},
		"it lacked the tag alone":         {fails(lacksPart, by(t, open), saw("", try(first, accesslog.Missing, ""), source(accesslog.Sent), try(first, accesslog.Served, ""), try(second, accesslog.Missing, ""))), diagnosis.Undecided, []string{"had a part of the image, but lacked another"}},
	} {
		t.Run(name, func(t *testing.T) { want(t, diagnosis.Diagnose(tt.c), []diagnosis.Cause{tt.cause}, tt.texts...) })
	}
}

// A certificate can be good, and the node's clock wrong; and a proxy can stand in the way.
func TestWhatStandsBetweenANodeAndARegistryIsNamed(t *testing.T) {
	const x509 = "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time "
	lacks := saw("", try(first, accesslog.Missing, ""), try(second, accesslog.Missing, ""), source(accesslog.Sent))
	mirror := func(why string) diagnosis.Case {
		return fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Error, why), try(second, accesslog.Missing, "")))
	}
	for name, tt := range map[string]struct {
		c     diagnosis.Case
		cause diagnosis.Cause
		texts []string
	}{
		"the clock, and the source":             {fails(toSource+x509+"1970-01-01T00:00:00Z is before 2026-01-01T00:00:00Z", by(t, open), lacks), diagnosis.BadCertificate, []string{"not valid yet by the clock of the node", "Correct the clock of node node-1. If the clock is right"}},
		"the clock, and a mirror":               {mirror(x509 + "1970-01-01T00:00:00Z is before 2026-01-01T00:00:00Z"), diagnosis.BadCertificate, []string{"Correct the clock", "!insecure"}},
		"the clock, and a mirror's token":       {fails(refusal(""), by(t, closed), saw("x", try(first, accesslog.Credentials, x509+"1970-01-01T00:00:00Z is before 2026-01-01T00:00:00Z"))), diagnosis.BadCertificate, []string{"Correct the clock"}},
		"the clock, in the redirector's words":  {mirror("the certificate of first.example:5000 is good from 2026-12-24 to 2027-01-01 only"), diagnosis.BadCertificate, []string{"Correct the clock", "!insecure"}},
		"an old one, in the redirector's words": {mirror("the certificate of first.example:5000 is good from 2020-12-24 to 2021-01-01 only"), diagnosis.BadCertificate, []string{"presents a valid certificate", "!clock"}},
		"the source's is old":                   {fails(toSource+x509+"2026-11-29T18:00:00Z is after 2026-11-01T00:00:00Z", by(t, open), lacks), diagnosis.BadCertificate, []string{"Make sure that quay.io presents a valid certificate", "!is reachable", "!insecure"}},
		"a proxy is away":                       {fails(toSource+"proxyconnect tcp: dial tcp 10.0.0.9:3128: connect: connection refused", by(t, open), lacks), diagnosis.SourceDown, []string{"through the node's proxy", "the proxy 10.0.0.9:3128", "NO_PROXY"}},
		"a proxy has no address":                {fails(toSource+"proxyconnect tcp: dial tcp: lookup proxy.example: no such host", by(t, open), lacks), diagnosis.SourceDown, []string{"the proxy proxy.example, through"}},
		"a proxy wants a login":                 {fails(toSource+"Proxy Authentication Required", by(t, open), lacks), diagnosis.SourceDown, []string{"Add the login that the proxy requires to HTTPS_PROXY"}},
		"a proxy wants one, in a status":        {mirror("it answered 407 Proxy Authentication Required"), diagnosis.MirrorDown, []string{"Add the login that the proxy requires"}},
		"a proxy forbids":                       {fails(toSource+"Forbidden", by(t, open), lacks), diagnosis.SourceDown, []string{"the proxy, through which node node-1 contacts quay.io"}},
		"a mirror is behind a proxy":            {mirror("proxyconnect tcp: dial tcp 10.0.0.9:3128: i/o timeout"), diagnosis.MirrorDown, []string{"the proxy 10.0.0.9:3128"}},
	} {
		t.Run(name, func(t *testing.T) { want(t, diagnosis.Diagnose(tt.c), []diagnosis.Cause{tt.cause}, tt.texts...) })
	}
}

// Registries have a say in how long a message is.
func TestALongMessageIsCut(t *testing.T) {
	c := fails(pull+"begins "+strings.Repeat("x509: é", 1<<17)+" ends", by(t, closed), unseen)
	d := diagnosis.Diagnose(c)
	want(t, d, []diagnosis.Cause{diagnosis.Undecided}, "the runtime said: begins x509", " ... ", " ends")
	if n := len(d.Findings[0].Message); n > 1000 {
		t.Errorf("the finding has %d bytes", n)
	}
	for _, e := range d.Evidence {
		if n := len(e.Text); n > 3000 || !strings.HasPrefix(e.Text, "Failed: ") && strings.HasSuffix(e.Text, " ends") {
			t.Errorf("the evidence has %d bytes", n)
		}
	}
	middle := fails(strings.Repeat("a", 1<<17)+" no space left on device "+strings.Repeat("a", 1<<17), by(t, closed), unseen)
	want(t, diagnosis.Diagnose(middle), []diagnosis.Cause{diagnosis.Undecided})
	middle.Container.Message = ""
	want(t, diagnosis.Diagnose(middle), []diagnosis.Cause{diagnosis.Undecided})
	if !strings.HasSuffix(c.Events[1].Message, " ends") || len(c.Events[1].Message) < 1<<17 {
		t.Error("the caller's events are changed")
	}
}

func TestABlockedTagIsOneImages(t *testing.T) {
	want(t, diagnosis.Diagnose(fails(refusal(""), image(byTag), by(t, closed, set("20", "quay.io/team/open", "", "n.example/open")))), []diagnosis.Cause{diagnosis.BlockedTag},
		"has no mirror for tags, and the image reference has a tag, so nodes cannot pull it", "!no image below")
}
