// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mirrorstest writes sets in the short notation of docs/reference/semantics.md section 6, for tests.
package mirrorstest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// policies are the short names of policies.
var policies = map[string]configv1.MirrorSourcePolicy{
	"Never": configv1.NeverContactSource,
	"Allow": configv1.AllowContactingSource,
}

// Parse parses one entry per line, "object: source -> mirror, mirror [Policy]". It returns the sets in the order in which their names first
// appear. An object is an ImageDigestMirrorSet, or with "T " before its name an ImageTagMirrorSet ("D " explicitly selects the former).
// Without mirrors it is "(none)". Never and Allow are short for the policies. Any value may be in double quotes with Go's escapes.
func Parse(text string) ([]kinds.Set, error) {
	var digests configv1.ImageDigestMirrorSetList
	var tags configv1.ImageTagMirrorSetList
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		rest, isTag := strings.CutPrefix(line, "T ")
		name, entry, err := parseLine(strings.TrimPrefix(rest, "D "))
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		if isTag {
			at := slices.IndexFunc(tags.Items, func(s configv1.ImageTagMirrorSet) bool { return s.Name == name })
			if at < 0 {
				at = len(tags.Items)
				tags.Items = append(tags.Items, configv1.ImageTagMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: name}})
			}
			spec := &tags.Items[at].Spec
			spec.ImageTagMirrors = append(spec.ImageTagMirrors, configv1.ImageTagMirrors(entry))
			continue
		}
		at := slices.IndexFunc(digests.Items, func(s configv1.ImageDigestMirrorSet) bool { return s.Name == name })
		if at < 0 {
			at = len(digests.Items)
			digests.Items = append(digests.Items, configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
		spec := &digests.Items[at].Spec
		spec.ImageDigestMirrors = append(spec.ImageDigestMirrors, entry)
	}
	sets, err := Of(digests.Items...)
	if err != nil {
		return nil, err
	}
	byTag, err := kinds.Tag.FromList(&tags)
	return append(sets, byTag...), err
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

// Annotate has the sets of a name call these mirrors insecure.
func Annotate(sets []kinds.Set, name, insecure string) {
	annotate(sets, name, mirrors.InsecureAnnotation, insecure)
}

// Enforce sets the annotation for shadow mode to a value, in the sets with a name.
func Enforce(sets []kinds.Set, name, enforcement string) {
	annotate(sets, name, mirrors.EnforcementAnnotation, enforcement)
}

func annotate(sets []kinds.Set, name, key, value string) {
	for i := range sets {
		if sets[i].GetName() != name {
			continue
		}
		annotations := maps.Clone(sets[i].GetAnnotations())
		if annotations == nil {
			annotations = make(map[string]string)
		}
		annotations[key] = value
		sets[i].SetAnnotations(annotations)
	}
}
