// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// LoginKey returns the key of the Secret that the login for a repository stands under; "" where it has none.
func (g Grants) LoginKey(of mirrors.Scope) (longest mirrors.Scope) {
	of = canonical(of)
	for key := range g.logins() {
		if key.Contains(of) && len(key) > len(longest) {
			longest = key
		}
	}
	return longest
}

// AuthorityKey returns the key of the ConfigMap that has the authorities of a registry, host[:port].
func AuthorityKey(registry string) string {
	return strings.Replace(registryOf(registry), ":", "..", 1)
}
