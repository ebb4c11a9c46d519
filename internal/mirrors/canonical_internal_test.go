// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"strings"
	"testing"
)

var (
	sha256Digest = "@sha256:" + strings.Repeat("0a", 32)
	longestTag   = ":" + strings.Repeat("a", maxTagLength)
	longestName  = "s.com/" + strings.Repeat("x", MaxNameLength-len("s.com/"))
)

func TestWhatARuntimeSendsIsReadAtOnce(t *testing.T) {
	for image, want := range map[string]bool{
		"docker.io/library/alpine" + sha256Digest: true, "s.com:5000/a/b__c-d.e:1_2.3-x": true, "localhost/x:latest": true, "S.com/x" + sha256Digest: true,
		"s.com/x" + longestTag: true, longestName + ":1": true, "s.com/x:_": true,
		// These the parser has to read, or refuse.
		"alpine": false, "docker.io/alpine:3": false, "index.docker.io/a/b:1": false, "s.com/x": false, "s.com:5000/x": false, "s.com/x:1" + sha256Digest: false,
		"[::1]:5000/x:1": false, "s.com/x@sha512:" + strings.Repeat("0a", 64): false, "s.com/x@sha256:" + strings.Repeat("0A", 32): false,
		"s.com/x" + sha256Digest + "0": false, "s.com/X:1": false, "s.com/x:.1": false, "s.com/x:": false, "s.com/x" + longestTag + "a": false, longestName + "x:1": false,
		"s.com/x:1\n": false, "*.s.com/x:1": false, "": false, ":1": false, sha256Digest: false,
	} {
		if ref, ok := readCanonical(image); ok != want {
			t.Errorf("%q: got %+v, %t", image, ref, ok)
		}
		wantAsTheParser(t, image)
	}
}

// wantAsTheParser holds what is read at once equal to what the runtimes' parser makes of it.
func wantAsTheParser(t *testing.T, image string) {
	t.Helper()
	ref, ok := readCanonical(image)
	if want, err := normalize(image); ok && (err != nil || ref != want) {
		t.Errorf("%q: got %+v, want %+v, error %v", image, ref, want, err)
	}
}

func FuzzReadCanonical(f *testing.F) {
	for _, image := range []string{"docker.io/library/alpine:3", "index.docker.io/a/b:1", "s.com:5000/x" + sha256Digest, "s.com/x:1" + sha256Digest, "a-b.c/d__e--f.g_h:i.j", "localhost/x:1"} {
		f.Add(image)
	}
	f.Fuzz(func(t *testing.T, image string) {
		wantAsTheParser(t, image)
		wantAsTheParser(t, image+":1")
		wantAsTheParser(t, image+sha256Digest)
		wantAsTheParser(t, "s.com/"+image)
	})
}
