// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// rewrite is one of k3s, as far as a set can say it: what is below one path is asked for below another one.
type rewrite struct {
	from, to string
	// only is about the repository itself, and none below it.
	only bool

	pattern, replacement string
}

func (r rewrite) String() string {
	return fmt.Sprintf("rewrite %q to %q", r.pattern, r.replacement)
}

// at returns what a path below from, or from itself, becomes.
func (r rewrite) at(place string) string {
	return below(r.to, strings.TrimPrefix(strings.TrimPrefix(place, r.from), "/"))
}

// covers reports whether a path is equal to from or below it.
func (r rewrite) covers(place string) bool {
	return r.from == "" || place == r.from || strings.HasPrefix(place, r.from+"/")
}

// readRewrites returns the rewrites of one endpoint, the narrower ones first. The containerd of k3s tries rewrites in no fixed order, and
// applies the first that changes the repository. Rewrites that a set cannot express are therefore an error, and so are two rewrites that
// differ for one repository.
func readRewrites(all map[string]string) ([]rewrite, error) {
	var read []rewrite
	for _, pattern := range slices.Sorted(maps.Keys(all)) {
		r, err := parseRewrite(pattern, all[pattern])
		if err != nil {
			return nil, fmt.Errorf("rewrite %q to %q %w", pattern, all[pattern], err)
		}
		if r != nil {
			read = append(read, *r)
		}
	}
	slices.SortStableFunc(read, func(a, b rewrite) int { return len(b.from) - len(a.from) })
	for i, narrow := range read {
		for j, wide := range read {
			if i == j || !wide.covers(narrow.from) || wide.only && narrow.from != wide.from {
				continue
			}
			switch same := wide.at(narrow.from) == narrow.to; {
			case !same && narrow.from == wide.from && narrow.only != wide.only:
				return nil, fmt.Errorf("%s and %s treat the repository %q and the repositories below it differently, which a set cannot do", narrow, wide, narrow.from)
			case !same:
				return nil, fmt.Errorf("%s and %s both concern %q, and k3s uses either of them; keep one of the two", narrow, wide, below(narrow.from, "*"))
			case i < j && narrow.from == wide.from: // one has the repository itself, the other one what is below it
				read[i].only, read[j].only = narrow.only && wide.only, narrow.only && wide.only
			}
		}
	}
	return read, nil
}

// What [parseRewrite] says is not understood.
var (
	errShape  = errors.New("does not simply replace one path of whole components with another")
	errMiddle = errors.New("matches in the middle of a path too; begin it with ^")
	errNever  = errors.New("matches no repository")
)

// parseRewrite returns nil for a rewrite that changes nothing, which k3s passes over.
func parseRewrite(pattern, replacement string) (*rewrite, error) {
	exp, err := regexp.Compile(pattern)
	if err != nil {
		return nil, errors.New("has a regular expression that k3s cannot read and therefore ignores")
	}
	shape, err := shapeOf(pattern)
	if err != nil {
		return nil, err
	}
	r := &rewrite{from: strings.TrimSuffix(shape.literal, "/"), only: shape.end && !shape.rest, pattern: pattern, replacement: replacement}
	if !r.only && shape.literal != r.from+"/" && shape.literal != "" {
		return nil, errShape
	}
	if strings.HasPrefix(shape.literal, "/") || r.from != "" && !isPath(r.from) || r.only && (r.from == "" || r.from != shape.literal) {
		return nil, errNever
	}
	to, err := r.target(exp, shape.literal)
	if err != nil {
		return nil, err
	}
	if to == shape.literal {
		return nil, nil
	}
	r.to = strings.TrimPrefix(path.Clean("/"+to), "/") // as containerd cleans the path of a request
	if r.to != "" && !isPath(r.to) || slices.Contains(strings.Split(to, "/"), "..") {
		return nil, fmt.Errorf("results in %q, which is not a path that a set can name", to)
	}
	return r, nil
}

// target returns what stands in the place of the literal that a pattern begins with.
func (r *rewrite) target(exp *regexp.Regexp, literal string) (to string, err error) {
	if r.only {
		return exp.ReplaceAllString(literal, r.replacement), nil
	}
	// The text after the literal must stay as it is.
	for i, rest := range []string{"probe-a/one_1/x", "probe-b/two.2"} {
		made, ok := strings.CutSuffix(exp.ReplaceAllString(literal+rest, r.replacement), rest)
		if !ok || made != "" && !strings.HasSuffix(made, "/") || i > 0 && made != to {
			return "", errShape
		}
		to = made
	}
	return to, nil
}

// shape is a pattern that takes a literal, and then perhaps all that is left.
type shape struct {
	begin, end bool
	literal    string
	rest, lazy bool
}

// shapeOf returns the shape of a pattern that matches only once in a repository: at its beginning.
func shapeOf(pattern string) (*shape, error) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, errShape
	}
	s := &shape{}
	switch {
	case !s.add(tree), s.lazy && !s.end:
		return nil, errShape
	case s.begin, s.literal == "" && s.rest:
		return s, nil
	case s.literal == "":
		return nil, errShape
	}
	return nil, errMiddle
}

// add takes the next part of a pattern, and returns false for one that has no place in a shape.
func (s *shape) add(re *syntax.Regexp) bool {
	if s.end && re.Op != syntax.OpEndText && re.Op != syntax.OpEndLine && re.Op != syntax.OpEmptyMatch {
		return false
	}
	switch re.Op {
	case syntax.OpEmptyMatch:
		return true
	case syntax.OpBeginText, syntax.OpBeginLine:
		s.begin = true
		return s.literal == "" && !s.rest
	case syntax.OpEndText, syntax.OpEndLine:
		s.end = true
		return true
	case syntax.OpLiteral:
		s.literal += string(re.Rune)
		return !s.rest && re.Flags&syntax.FoldCase == 0
	case syntax.OpConcat, syntax.OpCapture:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !s.add(sub) })
	case syntax.OpQuest:
		return isSlash(re.Sub[0]) && s.literal == "" && !s.rest // no repository begins with one
	case syntax.OpStar, syntax.OpPlus:
		taken := s.rest
		s.rest, s.lazy = true, re.Flags&syntax.NonGreedy != 0
		return !taken && takesAll(re.Sub[0])
	}
	return false
}

func isSlash(re *syntax.Regexp) bool {
	return re.Op == syntax.OpLiteral && string(re.Rune) == "/"
}

// takesAll reports whether an expression matches every character of a repository.
func takesAll(re *syntax.Regexp) bool {
	if re.Op == syntax.OpAnyChar || re.Op == syntax.OpAnyCharNotNL {
		return true
	}
	exp, err := regexp.Compile("^(?:" + re.String() + ")$")
	return err == nil && !slices.ContainsFunc([]byte("abcdefghijklmnopqrstuvwxyz0123456789._-/"), func(c byte) bool { return !exp.Match([]byte{c}) })
}
