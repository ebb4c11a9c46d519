// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package findings

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

var (
	// warning is what each line begins with that --strict counts.
	warning = regexp.MustCompile(`^warning: ([A-Za-z]+): `)
	// behindRuntime is a reason as doctor puts it behind the name of a runtime.
	behindRuntime = regexp.MustCompile(`^: ([A-Z][A-Za-z]+)$`)
	argument      = regexp.MustCompile(`^[A-Z][a-z]+([A-Z][A-Za-z]*)+$`)
)

// source is what one file of internal/ says of reasons.
type source struct {
	t    *testing.T
	name string
	// found has them with the file that has each.
	found map[string]string
}

// Visit takes reasons of findings: constants of a type Reason, and literals where findings are made or printed.
func (s source) Visit(node ast.Node) ast.Visitor {
	doctorOrAgent := strings.HasPrefix(s.name, "plugin/doctor/") || strings.HasPrefix(s.name, "agent/")
	switch node := node.(type) {
	case *ast.ValueSpec:
		if isReason(node.Type) && len(node.Values) == 1 {
			s.take(node.Values[0], nil)
		}
	case *ast.KeyValueExpr:
		if key, ok := node.Key.(*ast.Ident); ok && key.Name == "Reason" && doctorOrAgent {
			s.take(node.Value, nil)
		}
	case *ast.CallExpr:
		for _, arg := range node.Args {
			if doctorOrAgent {
				s.take(arg, argument)
			}
		}
	case *ast.BasicLit:
		s.take(node, warning)
		s.take(node, behindRuntime)
		if text, err := strconv.Unquote(node.Value); err == nil && (strings.HasPrefix(text, "warning: %") || text == "warning: " && s.name != "plugin/manifests/warnings.go") {
			s.t.Errorf("internal/%s prints a warning whose reason this test cannot see: %s", s.name, node.Value)
		}
	}
	return s
}

func isReason(expression ast.Expr) bool {
	switch of := expression.(type) {
	case *ast.Ident:
		return of.Name == "Reason"
	case *ast.SelectorExpr:
		return of.Sel.Name == "Reason"
	}
	return false
}

// take takes a literal, or the part of it that a form has in parentheses.
func (s source) take(expression ast.Expr, form *regexp.Regexp) {
	literal, ok := expression.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		s.t.Fatal(err)
	}
	switch {
	case form == nil || form == argument && form.MatchString(text):
		s.found[text] = s.name
	case form != argument && form.MatchString(text):
		s.found[form.FindStringSubmatch(text)[1]] = s.name
	}
}

// said are the reasons that programs can print or report, each with a file that has it.
func said(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	internal := os.DirFS("../..")
	err := fs.WalkDir(internal, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasSuffix(name, "test") { // helpers of tests
			return fs.SkipDir
		}
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(internal, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err == nil {
			ast.Walk(source{t, name, found}, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEachReasonIsExplained(t *testing.T) {
	found, explained := said(t), reasons()
	if len(found) < len(mirrors.Reasons()) {
		t.Fatalf("the sources have %d reasons", len(found))
	}
	for _, r := range slices.Sorted(maps.Keys(found)) {
		if !slices.Contains(explained, r) {
			t.Errorf("docs/reference/findings.md does not explain %s of internal/%s", r, found[r])
		}
	}
	for i, s := range sections() {
		if found[s.reason] == "" {
			t.Errorf("docs/reference/findings.md explains %s, which nothing finds", s.reason)
		}
		if slices.Contains(explained[:i], s.reason) || len(s.text) < 40 || strings.Contains(s.text, "#") || strings.Count(s.text, "\n") == 0 {
			t.Errorf("%s: %q", s.reason, s.text)
		}
	}
}
