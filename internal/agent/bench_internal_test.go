// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"testing"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// text10000 is a revision of 10,000 sources with 3 mirrors each, on as many registries or on one.
func text10000(b *testing.B, source string) []byte {
	b.Helper()
	rules := make([]mirrors.Rule, 10000)
	for i := range rules {
		rules[i] = mirrors.Rule{Source: mirrors.Scope(fmt.Sprintf(source, i))}
		for j := range 3 {
			rules[i].Mirrors = append(rules[i].Mirrors, mirrors.Mirror{Location: mirrors.Scope(fmt.Sprintf("m%d.local:5000/%05d", j, i)), Modes: mirrors.ByDigest})
		}
	}
	text, err := registriesconf.Encode(rules)
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// benchNode is a node with containerd's folder and a redirector.
func benchNode(b *testing.B) *host {
	b.Helper()
	n, _, _ := newHost(b, sinktest.Files{certsDir + "/.keep": ""})
	n.log = logr.Discard()
	n = n.successor(b)
	n.sinks.serve(b.Context())
	return n
}

// BenchmarkTake10000Sources is what an agent does with a new revision.
func BenchmarkTake10000Sources(b *testing.B) {
	for name, source := range map[string]string{"one-registry": "s.example.com/team%05d", "as-many-registries": "r%05d.example.com/team"} {
		b.Run(name, func(b *testing.B) {
			n, text := benchNode(b), text10000(b, source)
			b.SetBytes(int64(len(text)))
			for revision := int64(1); b.Loop(); revision++ {
				if _, err := n.take(payload.New(revision, text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRepair10000Sources is what an agent does when it looks at all files again, and they are as they should be.
func BenchmarkRepair10000Sources(b *testing.B) {
	for name, source := range map[string]string{"one-registry": "s.example.com/team%05d", "as-many-registries": "r%05d.example.com/team"} {
		b.Run(name, func(b *testing.B) {
			n := benchNode(b)
			if _, err := n.take(payload.New(1, text10000(b, source))); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := n.repair(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
