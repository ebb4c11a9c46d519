// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// The parts of what names an image in a repository.
const (
	sha256Prefix  = "sha256:"
	sha256Digits  = 64
	maxTagLength  = 128
	tagCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
)

// readCanonical parses a reference in canonical form, as runtimes send it, without the parser for all other forms. It leaves to that parser
// references with an IPv6 address as their host, and references with a digest other than sha256.
func readCanonical(image string) (ref Reference, ok bool) {
	name, suffix, mode := image, "", ByTag
	if at := strings.IndexByte(image, '@'); at >= 0 {
		name, suffix, mode = image[:at], image[at:], ByDigest
		digits, isSHA256 := strings.CutPrefix(suffix[1:], sha256Prefix)
		ok = isSHA256 && len(digits) == sha256Digits && strings.Trim(digits, "0123456789abcdef") == ""
	} else if at := strings.LastIndexByte(image, ':'); at >= 0 {
		name, suffix = image[:at], image[at:]
		tag := suffix[1:]
		ok = tag != "" && len(tag) <= maxTagLength && strings.Trim(tag, tagCharacters+".-") == "" && strings.IndexByte(tagCharacters, tag[0]) >= 0
	}
	return Reference{Name: name, Suffix: suffix, Mode: mode}, ok && value.Mirror.Takes(name) && isCanonical(Scope(name))
}
