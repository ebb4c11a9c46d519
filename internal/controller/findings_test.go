// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

func TestEachFindingIsLoggedOnceAndNotTooManyAtATime(t *testing.T) {
	var lines []string
	ctx := ctrl.LoggerInto(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	find := func(n int, of string) (all []mirrors.Finding) {
		for i := range n {
			entry := mirrors.Entry{Object: mirrors.Object{Kind: &kinds.Digest.Kind, Name: of}, Index: i}
			all = append(all, mirrors.Finding{Reason: mirrors.InvalidSource, Entries: []mirrors.Entry{entry}, Message: fmt.Sprintf("finding %d", i)})
		}
		return all
	}
	many := find(5000, "many")
	p := &Publisher{}
	for _, c := range []struct {
		findings []mirrors.Finding
		lines    int
		last     string
	}{
		{many, 101, `"findings"=4900`},
		{many, 0, ""},
		{append(find(1, "one"), many...), 1, `"one"`},
		{many, 0, ""},
		{find(3, "few"), 3, "finding 2"},
		{append(find(3, "few"), find(3, "few")...), 0, ""},
	} {
		lines = nil
		p.logFindings(ctx, c.findings)
		if len(lines) != c.lines || c.lines > 0 && !strings.Contains(lines[len(lines)-1], c.last) {
			t.Errorf("%d findings: %d lines, want %d: %.300v", len(c.findings), len(lines), c.lines, lines)
		}
	}
}
