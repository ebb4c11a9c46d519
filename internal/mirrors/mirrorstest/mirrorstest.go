// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mirrorstest writes ImageDigestMirrorSets in the short notation of docs/semantics.md section 6, for tests.
package mirrorstest

import (
	"fmt"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
)

// policies are the short names of policies.
var policies = map[string]configv1.MirrorSourcePolicy{
	"Never": configv1.NeverContactSource,
	"Allow": configv1.AllowContactingSource,
}

// Parse reads one entry a line, "object: source -> mirror, mirror [Policy]", into sets in the order in which their names
// first appear. Without mirrors it is "(none)"; Never and Allow are short for the policies; any value may stand in double
// quotes with Go's escapes.
func Parse(text string) ([]kinds.Set, error) {
	var list configv1.ImageDigestMirrorSetList
	at := make(map[string]int)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, entry, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		if _, ok := at[name]; !ok {
			at[name] = len(list.Items)
			list.Items = append(list.Items, configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
		spec := &list.Items[at[name]].Spec
		spec.ImageDigestMirrors = append(spec.ImageDigestMirrors, entry)
	}
	return Of(list.Items...)
}

// Of returns the sets that objects are.
func Of(objects ...configv1.ImageDigestMirrorSet) ([]kinds.Set, error) {
	return kinds.Digest.FromList(&configv1.ImageDigestMirrorSetList{Items: objects})
}

func parseLine(line string) (name string, entry configv1.ImageDigestMirrors, err error) {
	object, rest, hasName := strings.Cut(line, ": ")
	source, rest, hasArrow := strings.Cut(rest, " -> ")
	if !hasName || !hasArrow {
		return "", entry, fmt.Errorf("want object: source -> mirrors")
	}
	if at := strings.LastIndex(rest, " ["); at >= 0 && strings.HasSuffix(rest, "]") {
		policy := rest[at+2 : len(rest)-1]
		entry.MirrorSourcePolicy = configv1.MirrorSourcePolicy(policy)
		if long, ok := policies[policy]; ok {
			entry.MirrorSourcePolicy = long
		}
		rest = rest[:at]
	}
	if entry.Source, err = unquote(source); err != nil {
		return "", entry, err
	}
	if rest != "(none)" {
		for mirror := range strings.SplitSeq(rest, ", ") {
			value, err := unquote(mirror)
			if err != nil {
				return "", entry, err
			}
			entry.Mirrors = append(entry.Mirrors, configv1.ImageMirror(value))
		}
	}
	name, err = unquote(object)
	return name, entry, err
}

func unquote(value string) (string, error) {
	if strings.HasPrefix(value, `"`) {
		return strconv.Unquote(value)
	}
	return value, nil
}
