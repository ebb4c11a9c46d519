// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package payload_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors/shadow"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// beside are the maps of names that stand beside the text.
var beside = map[string]struct {
	key   string
	names func(*payload.Payload) *map[string]string
}{
	"sets that block": {payload.BlockersKey, func(p *payload.Payload) *map[string]string { return &p.Blockers }},
	"sets that watch": {payload.ShadowKey, func(p *payload.Payload) *map[string]string { return &p.Shadow }},
}

// ofSize returns names that have so many bytes as JSON.
func ofSize(t *testing.T, size int) map[string]string {
	t.Helper()
	names := map[string]string{"s.com": strings.Repeat("x", size-len(`{"s.com":""}`))}
	if text, err := json.Marshal(names); err != nil || len(text) != size {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	return names
}

func TestNamesOfSetsTravelBesideTheText(t *testing.T) { // N9, V4
	want := map[string]string{"s.com": "10-a, itms/20-b"}
	for what, b := range beside {
		for name, text := range map[string][]byte{"plain": small, "compressed": large} {
			p := payload.New(revision, text)
			*b.names(&p) = want
			cm := published(t, p)
			got, err := payload.Read(cm)
			if err != nil || !maps.Equal(*b.names(&got), want) || len(got.Blockers)+len(got.Shadow) != 1 {
				t.Errorf("%s, %s: got %v and %v, error %v", what, name, got.Blockers, got.Shadow, err)
			}
			for _, damage := range []string{"", "[]", "{\"s.com\": 1}"} {
				cm.Data[b.key] = damage
				if got, err := payload.Read(cm); err != nil || len(*b.names(&got)) > 0 || !bytes.Equal(got.Text, text) {
					t.Errorf("%s, %s: with %q got %v, error %v", what, name, damage, *b.names(&got), err)
				}
			}
		}
		p := payload.New(revision, small)
		*b.names(&p) = want
		state, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := payload.Unmarshal(state); err != nil || !maps.Equal(*b.names(&got), want) {
			t.Errorf("%s, kept on a node: got %v, error %v", what, *b.names(&got), err)
		}
	}
}

// What is too much for a ConfigMap is left out of both payloads, and the size is that at which sets say so.
func TestNamesThatFillAConfigMapAreLeftOut(t *testing.T) { // N9, V4
	for what, b := range beside {
		for size, want := range map[int]bool{shadow.MaxNames: true, shadow.MaxNames + 1: false} {
			p, canary := payload.New(revision, small), canaryOf([]byte("# another\n"), "a")
			*b.names(&p), *b.names(&canary.Payload) = ofSize(t, size), ofSize(t, size)
			cm := staged(t, p, canary)
			tried, err := payload.ReadCanary(cm)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := cm.Data[b.key]; ok != want || (len(*b.names(&tried.Payload)) > 0) != want {
				t.Errorf("%s in %d bytes: for all nodes %t, for canaries %t", what, size, ok, len(*b.names(&tried.Payload)) > 0)
			}
		}
	}
}

func TestNamesLeaveTheTextItsRoom(t *testing.T) {
	p := payload.New(revision, bytes.Repeat([]byte("x"), 900<<10))
	if cm := published(t, p); cm.Data[payload.Key] == "" {
		t.Fatal("a text that fits alone is compressed")
	}
	p.Blockers, p.Shadow = ofSize(t, shadow.MaxNames), ofSize(t, shadow.MaxNames)
	for _, text := range [][]byte{p.Text, p.Text[:890<<10]} {
		q := payload.New(revision, text)
		q.Blockers, q.Shadow = p.Blockers, p.Shadow
		cm, size := published(t, q), 0
		for key, value := range cm.Data {
			size += len(key) + len(value)
		}
		for key, value := range cm.BinaryData {
			size += len(key) + len(value)
		}
		if size > 1<<20 || (cm.Data[payload.Key] == "") != (len(text) == 900<<10) {
			t.Errorf("a text of %d bytes makes a ConfigMap of %d, compressed: %t", len(text), size, cm.Data[payload.Key] == "")
		}
		if got, err := payload.Read(cm); err != nil || len(got.Blockers) == 0 || len(got.Shadow) == 0 {
			t.Errorf("a text of %d bytes: %v", len(text), err)
		}
	}
}
