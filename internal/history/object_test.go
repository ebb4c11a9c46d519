// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// rules returns the text of sets in short notation.
func rules(t *testing.T, notation string) []byte {
	t.Helper()
	sets, err := mirrorstest.Parse(notation)
	if err != nil {
		t.Fatal(err)
	}
	text, err := registriesconf.Encode(kinds.Merge(sets, nil).Rules)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sample is a record with all that one can have.
func sample(t *testing.T) history.Record {
	t.Helper()
	p := payload.New(revision, rules(t, "a: quay.io -> m.com [Never]\nT b: quay.io -> t.com"))
	p.Format, p.Blockers, p.Sets = payload.FormatTags, map[string]string{"quay.io": "a"}, "sha256:0123456789abcdef0123456789abcdef"
	p.Shadow = map[string]string{"s.com": "b"}
	before := history.Of(payload.New(revision-1, nil), sets(t, of{name: "old", uid: "1", generation: 1}), nil)
	return history.Of(p, sets(t, of{name: "b", uid: "2", generation: 3, insecure: "m.com", enforcement: "shadow"}, of{name: "a", uid: "4", generation: 1}), &before)
}

func object(t *testing.T, r history.Record) *appsv1.ControllerRevision {
	t.Helper()
	made, err := r.Object("ns")
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestARecordComesBackOutOfItsObject(t *testing.T) {
	want := sample(t)
	made := object(t, want)
	if made.Namespace != "ns" || made.Revision != revision || !maps.Equal(made.Labels, history.Labels) {
		t.Errorf("the object is %+v", made.ObjectMeta)
	}
	made.Revision++ // as of a text that is published again
	made.CreationTimestamp = *at(1)
	want.Revision, want.Published = revision+1, *at(1)
	got, err := history.Read(made)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, error %v; want %+v", got, err, want)
	}
	p := got.Payload(revision + 2)
	if err := p.Check(); err != nil || p.Format != payload.FormatTags || p.Blockers["quay.io"] != "a" || p.Shadow["s.com"] != "b" || p.Sets != want.SetsDigest || p.Revision != revision+2 {
		t.Errorf("the payload is %+v, error %v", p, err)
	}
	glance, err := history.Glance(made)
	want.Text = nil
	if err != nil || !reflect.DeepEqual(glance, want) {
		t.Errorf("at a glance it is %+v, error %v; want %+v", glance, err, want)
	}
}

func TestNamesOfRecordsAreValidAndTellTextsAndSetsApart(t *testing.T) {
	digests := []string{"", payload.New(1, []byte("a")).Digest, payload.New(1, []byte("b")).Digest}
	seen := map[string]string{}
	for _, text := range digests[1:] {
		for _, sets := range digests {
			name := history.Name(text, sets)
			if wrong := validation.IsDNS1123Subdomain(name); len(wrong) > 0 || !strings.HasPrefix(name, payload.ConfigMapName+"-") {
				t.Errorf("%s: %q", name, wrong)
			}
			if other, ok := seen[name]; ok {
				t.Errorf("%s is the name of both %s and %s", name, other, text+sets)
			}
			seen[name] = text + sets
		}
	}
}

// An API server takes an order of the fields that is not its own for a change of what cannot be changed.
func TestTheFieldsOfAnObjectStandInTheOrderOfTheirNames(t *testing.T) {
	r := sample(t)
	r.Partial = true
	made := object(t, r)
	var fields map[string]any
	if err := json.Unmarshal(made.Data.Raw, &fields); err != nil || len(fields) != 6 {
		t.Fatalf("the object has the fields %v, error %v", fields, err)
	}
	if ordered, err := json.Marshal(fields); err != nil || !bytes.Equal(ordered, made.Data.Raw) {
		t.Errorf("the object holds %s; want %s", made.Data.Raw, ordered)
	}
}

// content is what an object holds, to be tampered with.
type content struct {
	Detail     []byte `json:"detail"`
	Digest     string `json:"digest"`
	Format     int    `json:"format"`
	SetsDigest string `json:"setsDigest,omitempty"`
	Text       []byte `json:"text"`
}

func packed(t *testing.T, plain ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	for _, p := range plain {
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAnObjectThatTheManagerWouldNotHaveWrittenIsNoRecord(t *testing.T) {
	zeroes := make([]byte, 1<<20)
	bomb := func(megabytes int) []byte {
		all := make([][]byte, megabytes)
		for i := range all {
			all[i] = zeroes
		}
		return packed(t, all...)
	}
	forge := func(c *content, text []byte) {
		c.Text, c.Digest = packed(t, text), fmt.Sprintf("sha256:%x", sha256.Sum256(text))
	}
	for name, tc := range map[string]struct {
		tamper func(o *appsv1.ControllerRevision, c *content)
		want   string
		later  bool // at a glance it is a record
	}{
		"nothing":                       {func(*appsv1.ControllerRevision, *content) {}, "", true},
		"a revision of 0":               {func(o *appsv1.ControllerRevision, _ *content) { o.Revision = 0 }, "revision 0 is out of range", false},
		"a negative revision":           {func(o *appsv1.ControllerRevision, _ *content) { o.Revision = -1 }, "revision -1 is out of range", false},
		"a revision without a next one": {func(o *appsv1.ControllerRevision, _ *content) { o.Revision = 1<<63 - 1 }, "revision 9223372036854775807 is out of range", true},
		"a newer format":                {func(_ *appsv1.ControllerRevision, c *content) { c.Format = payload.Format + 1 }, payload.ErrNewer.Error(), false},
		"no format":                     {func(_ *appsv1.ControllerRevision, c *content) { c.Format = 0 }, "format 0 is out of range", false},
		"a format that cannot say it":   {func(_ *appsv1.ControllerRevision, c *content) { c.Format = payload.FormatDigests }, "format 1, which cannot hold the mirrors for tags of quay.io", true},
		"another text":                  {func(_ *appsv1.ControllerRevision, c *content) { c.Text = packed(t, rules(t, "a: quay.io -> m.com")) }, "the digest of the text is", true},
		"a text that is no rules": {func(_ *appsv1.ControllerRevision, c *content) {
			forge(c, []byte("[[registry]]\nlocation = \"quay.io\"\nblocked = 1\n"))
		}, "registries.conf: ", true},
		"a file of the host as text": {func(_ *appsv1.ControllerRevision, c *content) { forge(c, []byte("root:x:0:0:root:/root:/bin/sh\n")) }, "registries.conf: ", true},
		"an unqualified search": {func(_ *appsv1.ControllerRevision, c *content) {
			forge(c, []byte("unqualified-search-registries = [\"evil.com\"]\n"))
		}, "registries.conf: ", true},
		"a text that is not packed": {func(_ *appsv1.ControllerRevision, c *content) { c.Text = []byte("[[registry]]") }, "text: gzip: invalid header", true},
		"a text that is cut":        {func(_ *appsv1.ControllerRevision, c *content) { c.Text = c.Text[:len(c.Text)-9] }, "text: unexpected EOF", true},
		"a bomb as text":            {func(_ *appsv1.ControllerRevision, c *content) { c.Text = bomb(17) }, "text: it is larger than a record can be", true},
		"a bomb beside it":          {func(_ *appsv1.ControllerRevision, c *content) { c.Detail = bomb(17) }, "detail: it is larger than a record can be", false},
		"no sets":                   {func(_ *appsv1.ControllerRevision, c *content) { c.Detail = nil }, "detail: EOF", false},
		"sets that are none":        {func(_ *appsv1.ControllerRevision, c *content) { c.Detail = packed(t, []byte(`{"sets":[{"kind":1}]}`)) }, `detail: "sets.kind" is a number, which is the wrong type`, false},
		"a set that moves the cursor": {func(_ *appsv1.ControllerRevision, c *content) {
			c.Detail = packed(t, []byte(`{"sets":[{"name":"\u001b[2J"}]}`))
		}, `detail: "\x1b[2J" is not a name`, false},
		"a user that breaks lines": {func(_ *appsv1.ControllerRevision, c *content) {
			c.Detail = packed(t, []byte(`{"changes":[{"by":"a\nb"}]}`))
		}, `detail: "a\nb" is not a name`, false},
		"a blocker that breaks lines": {func(_ *appsv1.ControllerRevision, c *content) {
			c.Detail = packed(t, []byte(`{"blockers":{"quay.io":"a\r"}}`))
		}, `detail: "a\r" is not a name`, false},
		"another name": {func(o *appsv1.ControllerRevision, _ *content) { o.Name = "other" }, "by its digests, its name should be ", false},
		"the digest of another": {func(o *appsv1.ControllerRevision, c *content) {
			c.Digest, o.Name = payload.New(1, nil).Digest, history.Name(payload.New(1, nil).Digest, c.SetsDigest)
		}, "the digest of the text is", true},
	} {
		t.Run(name, func(t *testing.T) {
			o := object(t, sample(t))
			var c content
			if err := json.Unmarshal(o.Data.Raw, &c); err != nil {
				t.Fatal(err)
			}
			before := c.Digest
			tc.tamper(o, &c)
			if c.Digest != before {
				o.Name = history.Name(c.Digest, c.SetsDigest)
			}
			data, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			o.Data.Raw = data
			_, err = history.Read(o)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), "ns/"+o.Name+" is not a record of rules: ") || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("the error is %v; want one with %q", err, tc.want)
			}
			if _, err := history.Glance(o); (err == nil) != tc.later {
				t.Errorf("at a glance, the error is %v", err)
			}
		})
	}
	for name, data := range map[string]string{"nothing": "", "somebody else's": `{"spec":{"template":{}}}`, "a list": "[]", "a text": `"x"`, "damaged": "{"} {
		o := object(t, sample(t))
		o.Data.Raw = []byte(data)
		if _, err := history.Read(o); err == nil || strings.Contains(err.Error(), "history.") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func TestANewerFormatIsToldFromDamage(t *testing.T) {
	r := sample(t)
	r.Format = payload.Format + 1
	if _, err := history.Read(object(t, r)); !errors.Is(err, payload.ErrNewer) {
		t.Errorf("the error is %v", err)
	}
}
