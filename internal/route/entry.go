// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package route

import "strconv"

// APIRoot is the root of a registry's API.
const APIRoot = "/v2"

// RedirectorPath is the root of all that the redirector serves. No repository begins with an underscore.
const RedirectorPath = APIRoot + "/_mirrorset/"

// Entry is one of the places that the redirector is for a runtime: the last element of an API root of its own.
type Entry string

// Source is the entry that is no mirror: it sends on to the registry itself, or streams what the rules call insecure there, and refuses what is blocked.
const Source Entry = "source"

// InsecureSource is the entry that the files of older agents have for insecure sources: it streams what the rules call insecure, refuses what is blocked,
// and knows nothing else, so that containerd asks the registry itself next. No file is written with it any more. The redirector has it for one release,
// so that no pull fails between an upgrade and the moment at which the files of the node are rewritten.
const InsecureSource Entry = "insecure"

// Rank is the entry of the mirrors that are at one place, from 0, in the list of their image.
func Rank(place int) Entry {
	return Entry(strconv.Itoa(place))
}

// Rank returns the place of the mirror, for an entry that is one.
func (e Entry) Rank() (place int, ok bool) {
	place, err := strconv.Atoi(string(e))
	return place, err == nil && place >= 0 && Rank(place) == e
}

// IsValid tells whether the redirector has such an entry.
func (e Entry) IsValid() bool {
	_, isRank := e.Rank()
	return isRank || e == Source || e == InsecureSource
}
