// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// containerd sends this header for everything that it fetches if concurrent_layer_fetch_buffer is set.
func TestAManifestIsStreamedWholeWhereContainerdFetchesInParts(t *testing.T) {
	mirror := startRegistry(t, true, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(manifest))
	})
	s := newServer(t, "a: s.com/x -> "+mirror.host+"/m\nT b: s.com/x -> "+mirror.host+"/m", mirror.host)
	for _, object := range []string{manifestDigest, "v1"} {
		w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", object), "Range", "bytes=0-")
		if w.Code != http.StatusOK || w.Body.String() != manifest {
			t.Errorf("%s: got %d %s", object, w.Code, w.Body)
		}
	}
	w := ask(t, s, http.MethodGet, strings.Replace(pathTo("0", "s.com", "x/y", manifestDigest), manifests, blobs, 1), "Range", "bytes=0-")
	if w.Code != http.StatusPartialContent || w.Body.String() != manifest {
		t.Errorf("the same as a blob: got %d %s", w.Code, w.Body)
	}
}
