// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package output_test

import (
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

func TestTheFirstOfManyAreNamedAndTheOthersCounted(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	for count, want := range []string{"", "a", "a, b", "a, b and 1 more", "a, b and 2 more"} {
		if got := output.FirstOf(names[:count], 2); got != want {
			t.Errorf("of %d: %q, want %q", count, got, want)
		}
	}
}
