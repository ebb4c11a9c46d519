// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// AnyHost takes the place of a registry, for all registries that have no hosts.toml of their own.
const AnyHost = "_default"

// elementLength is the length of an element, in hexadecimal digits.
const elementLength = 32

// Key opens the entries of a node's redirector. Each entry of each registry has an element of its own, so that a containerd error with one element
// opens nothing else (docs/reference/semantics.md N10). An empty key has no elements.
type Key string

// Path returns the root of the API that a registry, or [AnyHost], has at an entry.
func (k Key) Path(registry string, e Entry) string {
	if k == "" {
		return RedirectorPath + string(e)
	}
	return RedirectorPath + k.element(registry, e) + "/" + string(e)
}

// Opens reports if an element is the one for an entry of a registry or of [AnyHost].
func (k Key) Opens(element, registry string, e Entry) bool {
	return k != "" && hmac.Equal([]byte(element), []byte(k.element(registry, e)))
}

func (k Key) element(registry string, e Entry) string {
	code := hmac.New(sha256.New, []byte(k))
	code.Write([]byte(registry + "/" + string(e))) // no registry has a slash
	return hex.EncodeToString(code.Sum(nil))[:elementLength]
}

// String hides the key.
func (Key) String() string { return "(hidden)" }

// GoString hides the key.
func (Key) GoString() string { return "(hidden)" }

// CutPath splits a path of the redirector into the element, the entry, and the path below the entry's root. The element is empty in the paths of an
// empty key. The entry may be invalid.
func CutPath(path string) (element string, e Entry, below string, ok bool) {
	rest, ok := strings.CutPrefix(path, RedirectorPath)
	if !ok {
		return "", "", "", false
	}
	first, below, _ := strings.Cut(rest, "/")
	if isElement(first) {
		element = first
		first, below, _ = strings.Cut(below, "/")
	}
	return element, Entry(first), below, true
}

func isElement(text string) bool {
	return len(text) == elementLength && strings.Trim(text, "0123456789abcdef") == ""
}
