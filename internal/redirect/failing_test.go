// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

func TestALoginIsNotSentAgainAtOnceToATokenServerThatFails(t *testing.T) {
	corp := newAuthority(t)
	for code, refuses := range map[int]bool{400: true, 401: true, 403: true, 404: false, 429: false, 500: false, 503: false} {
		for kind, l := range map[string]login{"a password": password("ann", "secret1"), "an identity token": {"identitytoken": "secret2"}} {
			var sent atomic.Int32
			server := corp.start(t, func(w http.ResponseWriter, _ *http.Request) {
				sent.Add(1)
				w.WriteHeader(code)
			})
			mirror := corp.start(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="corp"`, server.URL+"/token"))
				w.WriteHeader(http.StatusUnauthorized)
			})
			s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host: l}, corp, mirror))
			for range 5 {
				if w := ask(t, s, http.MethodGet, blobPath("0", "x/y")); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), fmt.Sprintf("answered %d ", code)) {
					t.Errorf("%s, %d: got %d %s", kind, code, w.Code, w.Body)
				}
			}
			if found := s.Complaints(); sent.Load() != 1 || (len(found) == 1) != refuses {
				t.Errorf("%s, %d: sent %d times in 5 requests, complaints %v", kind, code, sent.Load(), found)
			}
		}
	}
}

// TestTheWordsOfARegistryGoNowhere has one that repeats a login in its status line.
func TestTheWordsOfARegistryGoNowhere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	serve := func(c net.Conn) {
		defer func() { _ = c.Close() }()
		for from := bufio.NewReader(c); ; {
			r, err := http.ReadRequest(from)
			if err != nil {
				return
			}
			_, secret, _ := r.BasicAuth()
			code := 401
			if strings.HasPrefix(r.URL.Path, "/v2/m/busy/") {
				code = 503
			}
			_, _ = fmt.Fprintf(c, "HTTP/1.1 %d no %s here\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n", code, secret+" words")
		}
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	at := listener.Addr().String()
	s := newGranted(t, "a: s.com/x -> "+at+"/m", grant(t, map[string]login{at: password("ann", "secret1")}, nil), at)
	for _, repository := range []string{"busy/y", "x/y"} {
		w := ask(t, s, http.MethodGet, blobPath("0", strings.Replace("x/"+repository, "x/x", "x", 1)))
		if text := w.Body.String() + fmt.Sprint(s.Complaints()); w.Code != http.StatusNotFound || strings.Contains(text, "secret1") || strings.Contains(text, "words") {
			t.Errorf("%s: got %d %s", repository, w.Code, text)
		}
	}
}
