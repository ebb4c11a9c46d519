// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// setName names a set of a record as all verbs name sets. Of a kind that this program does not know, it says the kind.
func setName(kind, name string) string {
	if known := kinds.Named(kind); known != nil {
		return mirrors.Object{Kind: &known.Kind, Name: name}.String()
	}
	return kind + "/" + name
}
