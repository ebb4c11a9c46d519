// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

func FuzzMerge(f *testing.F) {
	for _, sets := range []string{
		"a: quay.io -> m1/q\nb: quay.io/libpod -> m2/l",
		"a: s.com -> a.m, b.m [Never]\nb: s.com -> b.m, a.m, s.com [Allow]",
		"a: *.s.com -> m.com:5000/x\nb: a.s.com -> (none) [Never]",
		`"a\n[[registry]]": s.com -> "m.com\"\n", index.docker.io, docker.io`,
		"a: foo -> foo\na: \"\" -> \"\"",
	} {
		f.Add(sets, "s.com")
	}
	c := newConsumer(f)
	f.Fuzz(func(t *testing.T, text, scope string) {
		sets, err := mirrorstest.Parse(text)
		if err != nil {
			return
		}
		insecure, err := mirrors.ParseScopes([]string{scope})
		if err != nil {
			insecure = nil
		}
		rules := kinds.Merge(sets, insecure).Rules
		data, err := registriesconf.Encode(rules)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.load(data); err != nil {
			t.Fatalf("the consumer refuses our text: %v\n%s", err, data)
		}
		decoded, err := registriesconf.Decode(data)
		if want := withoutProvenance(rules); err != nil || !reflect.DeepEqual(decoded, want) {
			t.Fatalf("error %v\n got  %+v\n want %+v", err, decoded, want)
		}
	})
}

func FuzzDecode(f *testing.F) {
	goldens, err := filepath.Glob(filepath.Join("testdata", "*.out.toml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range goldens {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("registry = [{location = 's.com', mirror = [{location = \"m.com\", pull-from-mirror = \"digest-only\"}]}]"))
	f.Add([]byte("[registry]\nlocation = \"s.com\"\n[[registry.mirror]]\n"))
	f.Add([]byte("[[registry]]\nLocation = \"s.com\"\nBLOCKED = true\n"))
	c := newConsumer(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		rules, err := registriesconf.Decode(data)
		if err != nil {
			return
		}
		if err := c.load(data); err != nil {
			t.Fatalf("we take what the consumer refuses: %v\n%s", err, data)
		}
		again, err := registriesconf.Encode(rules)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := registriesconf.Decode(again)
		if err != nil || !reflect.DeepEqual(decoded, rules) {
			t.Fatalf("error %v\n got  %+v\n want %+v\n%s", err, decoded, rules, again)
		}
	})
}
