// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package payload

import "encoding/json"

const (
	// maxNames bounds the names of the sets that block or watch sources, in bytes of JSON. Larger ones are left out: rules do not depend on them.
	// Who counts what watched sources would have refused has to say so (docs/reference/semantics.md V4).
	maxNames = 64 << 10
	// roomForNames is what a text of maxPlain leaves of a ConfigMap for them. It is less than both can have.
	roomForNames = 120 << 10
)

// names returns what stands beside the text, by keys of the ConfigMap.
func (p Payload) names() map[string]string {
	data := make(map[string]string)
	for key, names := range map[string]map[string]string{BlockersKey: p.Blockers, ShadowKey: p.Shadow} {
		if text, err := json.Marshal(names); err == nil && len(names) > 0 && len(text) <= maxNames {
			data[key] = string(text)
		}
	}
	return data
}

// fitting returns names unless there are too many.
func fitting(names map[string]string) map[string]string {
	if text, err := json.Marshal(names); err != nil || len(text) > maxNames {
		return nil
	}
	return names
}

// readNames returns the names that a key holds; nil where it is not there, or somebody changed it to something else, because the rules count
// in any case.
func readNames(text string) map[string]string {
	var names map[string]string
	if json.Unmarshal([]byte(text), &names) != nil {
		return nil
	}
	return names
}
