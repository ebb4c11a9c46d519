// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// Lists that are merged once for all who inherit them give what each gets that narrows them first.
func TestMirrorsThatAreInheritedAtOnceAreThoseThatAreInheritedOneByOne(t *testing.T) {
	kind := &Kind{Name: "T", Mode: ByTag}
	random := rand.New(rand.NewPCG(1, 2))
	locations := []Scope{"a.net", "b.net/x", "c.net", "d.net:5000", "s.com", "e.net", "t.s.com", "s.com/n"}
	atOnce := 0
	for range 20_000 {
		pair := [][2]Scope{{"s.com", "s.com/n/p"}, {"*.s.com", "t.s.com/q"}, {"*.s.com", "*.t.s.com"}, {"s.com/n", "s.com/n/a"}}[random.IntN(4)]
		o := opinion{from: pair[0]}
		for i := range 1 + random.IntN(4) {
			s := statement{entry: Entry{Object: Object{Kind: kind, Name: fmt.Sprint("o", i)}}, source: o.from}
			for _, at := range random.Perm(len(locations))[:random.IntN(5)] {
				s.mirrors = append(s.mirrors, locations[at])
			}
			o.statements = append(o.statements, s)
		}
		m := merger{insecure: insecurity{Scopes{"b.net", "c.net/n"}, make(map[placed]bool)}, broad: make(map[inheritedFrom]broad)}
		m.insecure.mark(o.from, locations[0])
		blocked := random.IntN(2) == 0
		got, _ := m.inheritMirrors(pair[1], o, blocked)
		want, _ := m.inheritOneByOne(pair[1], o, blocked)
		if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%s of %s, blocked: %t, from %v:\n got  %v\n want %v", pair[1], pair[0], blocked, o.lists().mirrors, got, want)
		}
		if !m.broader(o).namesItself && len(got) > 1 {
			atOnce++
		}
	}
	if atOnce < 1000 {
		t.Errorf("only %d were inherited at once", atOnce)
	}
}
