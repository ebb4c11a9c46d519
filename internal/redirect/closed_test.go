// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"net/http"
	"strings"
	"testing"
)

func TestARefusalSaysPlainlyThatNoMirrorCanServe(t *testing.T) { // E5
	for _, tt := range []struct {
		sets, object, want string
	}{
		{"a: s.com -> blocked.invalid [Never]", manifestDigest, `"source s.com is blocked by policy NeverContactSource of set a, and no mirror can serve it"`},
		{"a: s.com -> blocked.invalid [Never]", "latest", `"source s.com is blocked by policy NeverContactSource of set a, and no mirror can serve it"`},
		{"T a: s.com -> x.invalid:5000/y [Never]", "latest", `"source s.com is blocked by policy NeverContactSource of set itms/a, and no mirror can serve it"`},
		{"a: s.com -> m.com [Never]", "latest", "it has no mirror for images by tag; name one in an ImageTagMirrorSet"},
		{"a: s.com -> blocked.invalid, m.com [Never]", "latest", "it has no mirror for images by tag; name one in an ImageTagMirrorSet"},
	} {
		s := newServer(t, tt.sets)
		w := ask(t, s, http.MethodGet, pathTo("source", "s.com", "x", tt.object))
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: %d %s", tt.sets, w.Code, w.Body)
		}
	}
	s := newServer(t, "a: s.com -> blocked.invalid [Never]")
	if w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x", manifestDigest)); w.Code != http.StatusNotFound {
		t.Errorf("there is a way to nobody: %d %s", w.Code, w.Header())
	}
}
