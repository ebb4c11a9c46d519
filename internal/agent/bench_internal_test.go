// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"testing"

	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// BenchmarkTake10000Sources is what an agent does with a new revision of 10,000 sources with 3 mirrors each.
func BenchmarkTake10000Sources(b *testing.B) {
	rules := make([]mirrors.Rule, 10000)
	for i := range rules {
		rules[i] = mirrors.Rule{Source: fmt.Sprintf("r%05d.example.com/team", i)}
		for j := range 3 {
			rules[i].Mirrors = append(rules[i].Mirrors, mirrors.Mirror{Location: fmt.Sprintf("m%d.local:5000/%05d", j, i)})
		}
	}
	text, err := registriesconf.Encode(rules)
	if err != nil {
		b.Fatal(err)
	}
	host, err := hostfile.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = host.Close() })
	n := &node{host: host}
	b.SetBytes(int64(len(text)))
	for revision := int64(1); b.Loop(); revision++ {
		if _, err := n.take(payload.New(revision, text)); err != nil {
			b.Fatal(err)
		}
	}
}
