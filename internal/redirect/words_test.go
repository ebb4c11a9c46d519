// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
)

// A person who looks at a Pod sees the message that containerd receives.
func TestAMirrorsOwnWordsAreToldOnOneLineThatATerminalPrintsAsItIs(t *testing.T) {
	long := strings.Repeat("a", 1000)
	for name, c := range map[string]struct {
		plain        bool
		location     string
		status, want string // want is what is told all the same
	}{
		"turns the line around":       {false, "https://\u202egro.live\u202c" + long + "/", "307 Temporary Redirect", " gro.live aaa"},
		"turns it around, streamed":   {true, "https://\u202egro.live\u202c" + long + "/", "307 Temporary Redirect", " gro.live aaa"},
		"has odd bytes, streamed":     {true, "https://%1b%5b31m/", "307 Temporary Redirect", ""},
		"has a long status, streamed": {true, "", long + " OK", "malformed HTTP status code"},
	} {
		host := startRaw(t, c.plain, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "HTTP/1.1 %s\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", c.status, c.location) // it may be gone
		})
		insecure := "insecure.example"
		if c.plain {
			insecure = host
		}
		s := newServer(t, fmt.Sprintf("a: s.com/x -> %s/m [Never]\na: %s/open -> %s/m", host, host, host), insecure)
		s.scout.deadline = time.Second
		for _, path := range []string{pathTo("0", "s.com", "x/y", manifestDigest), pathTo("source", "s.com", "x/y", manifestDigest), pathTo("source", host, "open/y", manifestDigest)} {
			w := ask(t, s, http.MethodGet, path)
			if w.Code == http.StatusTemporaryRedirect {
				continue // containerd sees for itself
			}
			var body struct{ Errors []struct{ Message string } }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || len(body.Errors) != 1 {
				t.Fatalf("%s: %d %s: %v", name, w.Code, w.Body, err)
			}
			message := body.Errors[0].Message
			if strings.ContainsFunc(message, func(r rune) bool { return !unicode.IsPrint(r) }) || len(message) > 2*maxWords || !strings.Contains(message, c.want) {
				t.Errorf("%s: %d %q", name, w.Code, message)
			}
		}
	}
}
