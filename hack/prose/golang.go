// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// marker is a line of a comment for a program, such as controller-gen; message is what it has for people.
var (
	marker  = regexp.MustCompile(`^ ?(?:\+|nolint|go:|lint:|Copyright |SPDX-)`)
	message = regexp.MustCompile(`\bmessage="([^"]+)"`)
)

// goTexts returns the comments of a Go file, and its strings of three words or more.
func goTexts(name string, content []byte) ([]text, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil || ast.IsGenerated(file) {
		return nil, err
	}
	var found []text
	for _, group := range file.Comments {
		found = append(found, text{files.Position(group.Pos()).Line, comment(group)})
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.ImportSpec, *ast.Field: // tags of fields are for programs
			field, ok := node.(*ast.Field)
			return ok && field.Tag == nil
		case ast.Expr:
			content, ok := literal(node)
			if ok && strings.Count(strings.TrimSpace(content), " ") >= 2 {
				found = append(found, text{files.Position(node.Pos()).Line, content})
			}
			return !ok
		}
		return true
	})
	slices.SortStableFunc(found, func(a, b text) int { return a.line - b.line })
	return found, nil
}

// comment returns the lines of a comment that are for people; the others are empty.
func comment(group *ast.CommentGroup) string {
	var lines []string
	for _, part := range group.List {
		if block, ok := strings.CutPrefix(part.Text, "/*"); ok {
			lines = append(lines, strings.Split(strings.TrimSuffix(block, "*/"), "\n")...)
			continue
		}
		line := strings.TrimPrefix(part.Text, "//")
		if marker.MatchString(line) {
			said := message.FindStringSubmatch(line)
			line = ""
			if said != nil {
				line = said[1]
			}
		}
		lines = append(lines, strings.TrimPrefix(line, " "))
	}
	return strings.Join(lines, "\n")
}

// literal returns the string that an expression is. It has `x` for each part that is known only when the program runs.
func literal(node ast.Expr) (string, bool) {
	switch node := node.(type) {
	case *ast.BasicLit:
		if node.Kind != token.STRING {
			return "", false
		}
		value, err := strconv.Unquote(node.Value)
		return value, err == nil
	case *ast.BinaryExpr:
		left, leftOK := literal(node.X)
		right, rightOK := literal(node.Y)
		if node.Op != token.ADD || !leftOK && !rightOK {
			return "", false
		}
		if !leftOK {
			left = "`x`"
		}
		if !rightOK {
			right = "`x`"
		}
		return left + right, true
	}
	return "", false
}
