// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package loopback

import (
	"net/http"
	"strings"
	"testing"
)

func TestWhoDoesNotAnswerAsARedirectorServesNobody(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"":             func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Server", "me") },
		"another name": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Server", "you") },
		"another path": func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Server", "me"); http.NotFound(w, r) },
		"no answer":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		socket, err := Bind(0)
		if err != nil {
			t.Fatal(err)
		}
		l, err := Serve(t.Context(), socket, Service{Handler: handler, Self: "/self", Name: "me", Most: 10})
		if name == "" {
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		} else if err == nil || !strings.Contains(err.Error(), "redirector") {
			t.Errorf("%s: error %v", name, err)
		}
		if err := socket.Close(); err != nil {
			t.Error(err)
		}
	}
}
