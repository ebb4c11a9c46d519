// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package route

import "strconv"

// APIRoot is the root of a registry's API.
const APIRoot = "/v2"

// RedirectorPath is the root of all paths that the redirector serves. No repository begins with an underscore.
const RedirectorPath = APIRoot + "/_mirrorset/"

// Entry is one of the places that the redirector offers a runtime: the last element of an API root of its own.
type Entry string

// Source is the entry that is no mirror. It redirects to the registry itself, or streams from it if the rules make it insecure, and refuses blocked
// images.
const Source Entry = "source"

// InsecureSource is the entry in the files of older agents for insecure sources. It streams from sources that the rules make insecure, refuses
// blocked images, and answers nothing else, so that containerd contacts the registry itself next. No file is written with it any more. The redirector
// has it for one release, so that no pull fails between an upgrade and the rewrite of the node's files.
const InsecureSource Entry = "insecure"

// Rank is the entry of the mirrors that have one place, from 0, in the list of their image.
func Rank(place int) Entry {
	return Entry(strconv.Itoa(place))
}

// Rank returns the place of the mirror, for an entry of mirrors.
func (e Entry) Rank() (place int, ok bool) {
	place, err := strconv.Atoi(string(e))
	return place, err == nil && place >= 0 && Rank(place) == e
}

// IsValid reports if the redirector has this entry.
func (e Entry) IsValid() bool {
	_, isRank := e.Rank()
	return isRank || e == Source || e == InsecureSource
}
