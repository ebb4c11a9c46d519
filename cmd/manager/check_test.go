// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
)

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
