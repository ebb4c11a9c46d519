// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A fact that stays false takes all the time that there is. The check still looks at the facts after it, and prints their own reasons.
func TestAFactThatIsFalseHidesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := []fact{
			{"a", func(context.Context) error { time.Sleep(lookAgain / 3); return errors.New("no a") }}, // so that time is up between two looks
			{"b", func(ctx context.Context) error { return ctx.Err() }},
			{"c", func(ctx context.Context) error { return cmp.Or(ctx.Err(), errors.New("no c")) }},
			{"d", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		}
		var stdout bytes.Buffer
		failed := await(t.Context(), all, 3*time.Minute, &stdout)
		if want := "FAILED  a: no a\nok      b\nFAILED  c: no c\nFAILED  d: context deadline exceeded\n"; failed != 3 || stdout.String() != want {
			t.Errorf("%d failed:\n%swant:\n%s", failed, stdout.String(), want)
		}
	})
}

// test/integration and test/e2e run checks of installations.
func TestACheckThatCannotBegin(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "--namespace is required"},
		{[]string{"--namespace=n", "now"}, 2, `unexpected argument "now"`},
		{[]string{"--wait=long"}, 2, `invalid value "long"`},
		{[]string{"--help"}, 0, "Usage of manager check: "},
		{[]string{"--namespace=n", "--kubeconfig=/does/not/exist"}, 1, "/does/not/exist"},
	} {
		var stdout, stderr bytes.Buffer
		if code := checkInstallation(c.args, &stdout, &stderr); code != c.code || !strings.Contains(stderr.String(), c.want) || stdout.Len() > 0 {
			t.Errorf("%q: exit code %d, %q, %q; want %d and %q", c.args, code, stdout.String(), stderr.String(), c.code, c.want)
		}
	}
}
