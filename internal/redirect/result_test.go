// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestEachRequestIsCountedByWhatItCameTo(t *testing.T) {
	var got []Result
	good, gone := startRegistry(t, false, has), startRegistry(t, false, status(http.StatusNotFound))
	plain, absent := startRegistry(t, true, has), startRegistry(t, true, status(http.StatusNotFound))
	s := New(wired(Config{Answered: func(r Result) { got = append(got, r) }}))
	setRules(t, s, fmt.Sprintf("a: s.com/x -> %s/m, %s/m, %s/m\na: s.com/shut -> m.com [Never]\na: %s/shut -> m.com [Never]\na: %s/shut -> m.com [Never]",
		good.host, gone.host, plain.host, plain.host, absent.host), plain.host, absent.host)
	for _, c := range []struct {
		name, method, path string
		want               Result
	}{
		{"a mirror", http.MethodHead, pathTo("0", "s.com", "x/y", manifestDigest), Redirected},
		{"a mirror without it", http.MethodGet, pathTo("1", "s.com", "x/y", manifestDigest), PassedOver},
		{"an insecure mirror", http.MethodGet, pathTo("2", "s.com", "x/y", manifestDigest), Streamed},
		{"a rank without a mirror", http.MethodGet, pathTo("3", "s.com", "x/y", manifestDigest), NoMirror},
		{"the source", http.MethodGet, pathTo("source", "s.com", "x/y", "latest"), ToSource},
		{"a blocked source", http.MethodGet, pathTo("source", "s.com", "shut/y", "latest"), Refused},
		{"an insecure source", http.MethodGet, pathTo("source", plain.host, "y", "latest"), Streamed},
		{"an insecure source without it", http.MethodGet, pathTo("source", absent.host, "y", "latest"), Failed},
		{"an insecure source at the entry of an older version", http.MethodGet, pathTo("insecure", plain.host, "y", "latest"), Streamed},
		{"a secure one there", http.MethodGet, pathTo("insecure", "s.com", "x/y", "latest"), NoMirror},
		{"a blocked one there", http.MethodGet, pathTo("insecure", "s.com", "shut/y", "latest"), Refused},
		{"an entry that never was", http.MethodGet, pathTo("secure", "s.com", "x/y", "latest"), BadRequest},
		{"another method", http.MethodPost, pathTo("0", "s.com", "x/y", manifestDigest), BadRequest},
		{"another path", http.MethodGet, "/metrics", BadRequest},
		{"the redirector itself", http.MethodGet, selfPath, ""},
	} {
		got = nil
		ask(t, s, c.method, c.path)
		want := []Result{c.want}
		if c.want == "" {
			want = nil
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", c.name, got, want)
		}
		if c.want != "" && !slices.Contains(Results(), c.want) {
			t.Errorf("%s is not among the results", c.want)
		}
	}
}

func TestAStreamThatBreaksOffIsCountedAsFailed(t *testing.T) {
	mirror := startRegistry(t, true, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(2<<20))
		_, _ = w.Write(make([]byte, 1<<20))
		panic(http.ErrAbortHandler)
	})
	got := make(chan Result, 1)
	s := New(wired(Config{Answered: func(r Result) { got <- r }}))
	setRules(t, s, "a: s.com/x -> "+mirror.host+"/m", mirror.host)
	server := serve(t, s)
	resp, err := http.Get(server.URL + strings.Replace(pathTo("0", "s.com", "x/y", manifestDigest), manifests, blobs, 1))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("a stream that broke off looks like a whole one")
	}
	if r := <-got; r != Failed {
		t.Errorf("got %s", r)
	}
}
