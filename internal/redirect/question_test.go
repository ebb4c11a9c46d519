// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"net/url"
	"testing"
)

func TestTheRegistryIsReadAsAnyQueryIs(t *testing.T) {
	for _, query := range []string{"", "ns=", "ns=s.com", "ns=s.com%3A5000", "ns=s.com:5000", "x=1&ns=s.com", "ns=s.com&x=1", "ns=s.com&ns=t.com", "ns=a+b", "ns=a;b", "ns=%", "ns=a=b", "nsx=s.com", "NS=s.com"} {
		from := &url.URL{RawQuery: query}
		if got, want := namespace(from), from.Query().Get("ns"); got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
}
