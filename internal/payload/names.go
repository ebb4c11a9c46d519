// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package payload

import "encoding/json"

const (
	// maxNames bounds the names of the sets that block or watch sources, in bytes of JSON. Larger names are left out, because rules do not
	// depend on them. A reader that counts what watched sources would have refused must report that they are missing
	// (docs/reference/semantics.md V4).
	maxNames = 64 << 10
	// roomForNames is the room for them that a text of maxPlain leaves in a ConfigMap. It is less than the largest blockers and shadow need
	// together.
	roomForNames = 120 << 10
)

// names returns the keys of the ConfigMap that accompany the text.
func (p Payload) names() map[string]string {
	data := make(map[string]string)
	for key, names := range map[string]map[string]string{BlockersKey: p.Blockers, ShadowKey: p.Shadow} {
		if text, err := json.Marshal(names); err == nil && len(names) > 0 && len(text) <= maxNames {
			data[key] = string(text)
		}
	}
	return data
}

// fitting returns the names, or nil if there are too many.
func fitting(names map[string]string) map[string]string {
	if text, err := json.Marshal(names); err != nil || len(text) > maxNames {
		return nil
	}
	return names
}

// readNames returns the names in a key. It returns nil if the key is missing or somebody changed its value to something else, because the
// rules count in any case.
func readNames(text string) map[string]string {
	var names map[string]string
	if json.Unmarshal([]byte(text), &names) != nil {
		return nil
	}
	return names
}
