// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package accesslog_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
)

func TestWhatAnAgentPrintsIsReadStrictlyButForWhatANewerOneAdds(t *testing.T) {
	const head = `{"since":"2026-11-29T18:00:00Z"}` + "\n"
	const pull = `{"id":1,"began":"2026-11-29T18:01:00Z","last":"2026-11-29T18:01:00Z","image":"a.com/x:1"}` + "\n"
	for _, tt := range []struct{ name, printed, want, err string }{
		{"pulls", head + pull + strings.Replace(pull, "x:1", "y:2", 1), "a.com/x:1 a.com/y:2", ""},
		{"none", head, "", ""},
		{"an empty line", head + "\n" + pull, "", "line 2 is not a pull"},
		{"a newer agent", `{"since":"2026-11-29T18:00:00Z","node":"n"}` + "\n" + strings.Replace(pull, `"id"`, `"what":{"is":"new"},"id"`, 1), "a.com/x:1", ""},
		{"a very long line", head + strings.Replace(pull, "x:1", strings.Repeat("x", 300<<10)+":1", 1), "a.com/" + strings.Repeat("x", 300<<10) + ":1", ""},
		{"nothing", "", "", "line 1: EOF"},
		{"no head", pull, "", "line 1 does not have the time since which pulls are known"},
		{"words", "hello\n", "", "line 1 does not have the time since which pulls are known"},
		{"another object", head + pull + "{}\n", "a.com/x:1", "line 3 is not a pull"},
		{"words behind it", head + strings.TrimSpace(pull) + " hello\n", "", "line 2 is not a pull"},
		{"no ID", head + strings.Replace(pull, `"id":1,`, "", 1), "", "line 2 is not a pull"},
		{"no time", head + strings.Replace(pull, `"began":"2026-11-29T18:01:00Z",`, "", 1), "", "line 2 is not a pull"},
		{"no image", head + strings.Replace(pull, "a.com/x:1", "", 1), "", "line 2 is not a pull"},
		{"a line that breaks off", head + pull[:20], "", "line 2: the input ends early: unexpected EOF"},
		{"a line without end", head + strings.Repeat("x", 2<<20), "", "line 2: more than 1048576 characters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, from := range map[string]io.Reader{"at once": strings.NewReader(tt.printed), "in pieces": iotest.HalfReader(strings.NewReader(tt.printed))} {
				var images []string
				var since time.Time
				err := accesslog.Read(from, func(h accesslog.Head) { since = h.Since }, func(p accesslog.Pull) error {
					images = append(images, p.Image)
					return nil
				})
				if got := strings.Join(images, " "); got != tt.want {
					t.Errorf("%s: %.100q", name, got)
				}
				if (tt.err == "") != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
					t.Errorf("%s: error %v, want %q", name, err, tt.err)
				}
				if strings.HasPrefix(tt.printed, `{"since`) && since.IsZero() {
					t.Errorf("%s: it is not told since when", name)
				}
			}
		})
	}
	full := errors.New("full")
	if err := accesslog.Read(strings.NewReader(head+pull), func(accesslog.Head) {}, func(accesslog.Pull) error { return full }); !errors.Is(err, full) {
		t.Errorf("a reader that has enough: %v", err)
	}
}
