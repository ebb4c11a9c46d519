// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// Few parts, so that sources nest, tie and collide.
var (
	drawHost = rapid.SampledFrom([]string{
		"s.com", "s.com", "a.s.com", "b.a.s.com", "aa.s.com", "a.s.com.s.com", "s.com:5000", "a.s.com:5000",
		"docker.io", "m.com", "m.com:5000", "a.m.com", "localhost",
	})
	drawOddHost = rapid.SampledFrom([]string{"index.docker.io", "registry-1.docker.io", "foo", "foo:5000", "S.com", "com"})
	drawPath    = rapid.SampledFrom([]string{"", "", "/x", "/x", "/x/y", "/xy", "/library", "/library/x"})
	drawBad     = rapid.SampledFrom([]string{"", "s.com/", "https://s.com", "s.com/X", "*.s.com:5000", "a\"\n[[registry]]\nblocked = true", "mirror", "mirror/x"})
	drawLong    = rapid.SampledFrom([]string{"m.com/" + string(bytes.Repeat([]byte("x"), 243)), "m.com/" + string(bytes.Repeat([]byte("x"), 150))})
)

// drawLocation draws a host with an optional path, at times an odd one.
func drawLocation(t *rapid.T) string {
	if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
		return drawOddHost.Draw(t, "host") + drawPath.Draw(t, "path")
	}
	return drawHost.Draw(t, "host") + drawPath.Draw(t, "path")
}

func drawSource(t *rapid.T) string {
	switch rapid.IntRange(0, 19).Draw(t, "kind") {
	case 0:
		return drawBad.Draw(t, "bad")
	case 1, 2, 3, 4:
		return rapid.SampledFrom([]string{"*.s.com", "*.a.s.com", "*.com", "*.m.com", "*.docker.io"}).Draw(t, "wildcard")
	}
	return drawLocation(t)
}

func drawMirror(t *rapid.T) string {
	switch rapid.IntRange(0, 29).Draw(t, "kind") {
	case 0:
		return drawBad.Draw(t, "bad")
	case 1:
		return drawLong.Draw(t, "long")
	}
	return drawLocation(t)
}

func drawEntry(t *rapid.T) configv1.ImageDigestMirrors {
	entry := configv1.ImageDigestMirrors{
		Source:             rapid.Custom(drawSource).Draw(t, "source"),
		MirrorSourcePolicy: rapid.SampledFrom([]configv1.MirrorSourcePolicy{"", "", "", configv1.AllowContactingSource, configv1.NeverContactSource, "Sometimes"}).Draw(t, "policy"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "mirrors") {
		entry.Mirrors = append(entry.Mirrors, configv1.ImageMirror(rapid.Custom(drawMirror).Draw(t, "mirror")))
	}
	return entry
}

func drawInput(t *rapid.T) ([]kinds.Set, mirrors.Scopes) {
	var list []configv1.ImageDigestMirrorSet
	for _, name := range []string{"a", "b", "c"} {
		set := configv1.ImageDigestMirrorSet{}
		set.Name = name
		set.Spec.ImageDigestMirrors = rapid.SliceOfN(rapid.Custom(drawEntry), 0, 4).Draw(t, name)
		list = append(list, set)
	}
	scopes := rapid.SliceOfN(rapid.SampledFrom([]string{"s.com", "*.s.com", "m.com", "m.com:5000/x", "docker.io/library"}), 0, 2).Draw(t, "insecure")
	insecure, err := mirrors.ParseScopes(scopes)
	if err != nil {
		t.Fatal(err)
	}
	sets, err := mirrorstest.Of(list...)
	if err != nil {
		t.Fatal(err)
	}
	return sets, insecure
}

// drawReference draws a canonical reference, mostly one below a source.
func drawReference(t *rapid.T, rules []mirrors.Rule) mirrors.Reference {
	name := drawHost.Draw(t, "host")
	if len(rules) > 0 && rapid.IntRange(0, 3).Draw(t, "free") > 0 {
		name = strings.Replace(string(rapid.SampledFrom(rules).Draw(t, "rule").Source), "*.", rapid.SampledFrom([]string{"a.", "bb.", "c.d."}).Draw(t, "label"), 1)
	}
	path := rapid.SampledFrom([]string{"", "/x", "/x", "/x/y", "/x/y/z", "/xy", "/library/x", "/a.s.com/x", "/z"}).Draw(t, "path")
	suffix := rapid.SampledFrom([]string{digest, digest, digest, ":1"}).Draw(t, "suffix")
	ref, err := mirrors.ParseReference(name + path + suffix)
	if err != nil { // the source itself is too long, or is a host, and its port would be a tag
		return parse(t, "s.com/x"+suffix)
	}
	return ref
}

// TestTheConsumerPullsFromWhereWeSay is R3. Each draw is held against three things: against what we say that readers do,
// and what the quirks make of our own answer, always; and against our own answer as it is, unless a quirk has a part in it.
func TestTheConsumerPullsFromWhereWeSay(t *testing.T) {
	c := newConsumer(t)
	drawn, decided, byQuirk := 0, 0, make(map[string]int)
	rapid.Check(t, func(t *rapid.T) {
		rules := kinds.Merge(drawInput(t)).Rules
		text, err := registriesconf.Encode(rules)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.load(text); err != nil {
			t.Fatalf("the consumer refuses our text: %v\n%s", err, text)
		}
		for range 20 {
			ref := drawReference(t, rules)
			seen, own := c.resolve(t, ref), ours(rules, ref)
			want, quirks := withQuirks(rules, ref)
			if !seen.equal(want) {
				t.Fatalf("%s, quirks %q:\n consumer %+v\n want     %+v\n own      %+v\n%s", ref, quirks, seen, want, own, text)
			}
			if said := readers(rules, ref); !seen.equal(said) {
				t.Fatalf("%s:\n consumer %+v\n we say   %+v\n%s", ref, seen, said, text)
			}
			if len(quirks) == 0 && !seen.equal(own) {
				t.Fatalf("%s, no quirk:\n consumer %+v\n own      %+v\n%s", ref, seen, own, text)
			}
			drawn++
			if seen.Prefix != "" && len(quirks) == 0 {
				decided++
			}
			for _, q := range quirks {
				byQuirk[q]++
			}
		}
	})
	t.Logf("of %d draws, %d were decided by a rule without a quirk; quirks had a part in %v", drawn, decided, byQuirk)
	if !t.Failed() && decided < drawn/3 {
		t.Errorf("only %d of %d draws were decided by a rule without a quirk", decided, drawn)
	}
}

func TestTextDoesNotDependOnTheOrderOfObjects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sets, insecure := drawInput(t)
		want := kinds.Merge(sets, insecure)
		got := kinds.Merge(rapid.Permutation(sets).Draw(t, "shuffled"), insecure)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
		first, err := registriesconf.Encode(want.Rules)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := registriesconf.Encode(got.Rules); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("error %v, texts\n%s\n%s", err, first, second)
		}
	})
}

func TestTextDecodesToTheSameRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := kinds.Merge(drawInput(t)).Rules
		text, err := registriesconf.Encode(rules)
		if err != nil {
			t.Fatal(err)
		}
		got, err := registriesconf.Decode(text)
		if want := withoutProvenance(rules); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("error %v\n got  %+v\n want %+v", err, got, want)
		}
	})
}
