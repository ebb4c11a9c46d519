// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package findings

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// declared are the values of the constants of type Reason in a file.
func declared(t *testing.T, file string) (values []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), "../../"+file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Type == nil || len(spec.Values) != 1 {
			return true
		}
		name := ""
		switch of := spec.Type.(type) {
		case *ast.Ident:
			name = of.Name
		case *ast.SelectorExpr:
			name = of.Sel.Name
		}
		if literal, is := spec.Values[0].(*ast.BasicLit); is && name == "Reason" {
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		return true
	})
	return values
}

func TestEachReasonIsExplained(t *testing.T) {
	var wanted []string
	for _, r := range mirrors.Reasons() {
		wanted = append(wanted, string(r))
	}
	for _, file := range []string{"nodecheck/problem.go", "registriesconf/onhost/preflight.go", "agent/certs/pass.go"} {
		found := declared(t, file)
		if len(found) == 0 {
			t.Errorf("%s has no reasons", file)
		}
		wanted = append(wanted, found...)
	}
	explained := reasons()
	for _, r := range wanted {
		if !slices.Contains(explained, r) {
			t.Errorf("docs/findings.md does not explain %s", r)
		}
	}
	for i, s := range sections() {
		if slices.Contains(explained[:i], s.reason) || len(s.text) < 40 || strings.Contains(s.text, "#") || strings.Count(s.text, "\n") == 0 {
			t.Errorf("%s: %q", s.reason, s.text)
		}
	}
}
