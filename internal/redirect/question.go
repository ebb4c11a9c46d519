// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect/tries"
	"github.com/mirrorset/mirrorset/internal/route"
)

// The kinds of content that a registry serves by name.
const (
	manifests = "manifests"
	blobs     = "blobs"
)

// question is a request of containerd.
type question struct {
	element string
	entry   route.Entry
	// host is the registry as in image references, and image the repository there, HOST/REPOSITORY.
	host, repository, image string
	// kind is manifests or blobs.
	kind string
	// object is a digest, or a tag of one of the source's manifests; mode shows which.
	object string
	mode   mirrors.Mode
	// at is the time of the request, and rules the digest of the rules that answer it.
	at    time.Time
	rules string
	// account is the account of its outcome.
	account *tries.Account
}

// digest returns the object as a digest, if it is one.
func (q question) digest() digest.Digest {
	return digest.Digest(q.object)
}

// parse understands only GET and HEAD of a manifest or a blob. The registry is in the query, where containerd puts it for every host that is not the
// registry itself.
func parse(r *http.Request) (q question, ok bool) {
	element, entry, below, ok := route.CutPath(r.URL.Path)
	if !ok || r.URL.RawPath != "" {
		return q, false
	}
	path, object, _ := cutLast(below)
	repository, kind, ok := cutLast(path)
	if !ok || kind != manifests && kind != blobs {
		return q, false
	}
	q = question{element: element, entry: entry, host: namespace(r.URL), repository: repository, kind: kind, object: object}
	q.image = q.host + "/" + q.repository
	if !q.entry.IsValid() {
		return q, false
	}
	separator := ":"
	q.mode = mirrors.ByTag
	if strings.Contains(q.object, ":") { // as no tag does
		separator = "@"
		q.mode = mirrors.ByDigest
	} else if q.kind != manifests {
		return q, false
	}
	ref, err := mirrors.ParseReference(q.image + separator + q.object)
	return q, err == nil && !strings.Contains(q.host, "/") && ref.Name == q.image && ref.Suffix == separator+q.object
}

// cutLast cuts a path before its last element.
func cutLast(path string) (before, last string, ok bool) {
	at := strings.LastIndexByte(path, '/')
	if at < 0 {
		return "", path, false
	}
	return path[:at], path[at+1:], true
}

// namespace returns the registry that containerd names. Its query holds nothing else, and usually nothing escaped.
func namespace(from *url.URL) string {
	if host, ok := strings.CutPrefix(from.RawQuery, "ns="); ok && !strings.ContainsAny(host, "&;%+") {
		return host
	}
	return from.Query().Get("ns")
}
