// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package changes

import (
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/test/conformance"
)

// TestDiffPullsAsExplainDoes holds that what diff says of a source is what is resolved for an image of it.
func TestDiffPullsAsExplainDoes(t *testing.T) {
	cases, err := conformance.Load()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, c := range cases {
		sets, err := mirrorstest.Parse(c.Sets)
		if err != nil {
			t.Fatal(err)
		}
		s := newSide(kinds.Merge(sets, nil).Rules)
		for source := range s.sources {
			name := representative(source, s.sources)
			for _, mode := range []mirrors.Mode{mirrors.ByDigest, mirrors.ByTag} {
				res := s.index.Resolve(mirrors.Reference{Name: string(name) + "/nobody/s", Mode: mode})
				want := []mirrors.Scope{}
				for _, p := range res.PullSources {
					want = append(want, mirrors.Scope(strings.Replace(strings.TrimSuffix(p.Location, "/nobody/s"), string(name), string(source), 1)))
				}
				got := s.pullsOf(source, name, mode)
				if !slices.Equal(got.PullSources, want) || got.By != res.Rule.Source || got.Blocked != res.Blocked {
					t.Errorf("%s: source %s by %s: got %+v, want %q from %q", c.Name, source, mode, got, want, res.Rule.Source)
				}
			}
			checked++
		}
	}
	if checked < 100 {
		t.Errorf("only %d sources", checked)
	}
}

func TestChangesAreNamedByWhatTheyDoToAPull(t *testing.T) {
	const base = "a: s.com -> a.com/1, b.com/1, c.com/1\n"
	for _, tt := range []struct{ name, before, after, want string }{
		{"nothing", base, base, ""},
		{"another set says the same", base, strings.Replace(base, "a:", "b:", 1), ""},
		{"a mirror more", base, base + "b: s.com -> d.com/1\n", "s.com MirrorsAdded"},
		{"a mirror less", base, "a: s.com -> a.com/1, c.com/1\n", "s.com MirrorsRemoved"},
		{"another order", base, "a: s.com -> b.com/1, a.com/1, c.com/1\n", "s.com MirrorsReordered"},
		{"a mirror for another", base, "a: s.com -> a.com/1, b.com/1, d.com/1\n", "s.com MirrorsAdded MirrorsRemoved"},
		{"blocked", base, strings.TrimSpace(base) + " [Never]\n", "s.com Blocked"},
		{"opened", strings.TrimSpace(base) + " [Never]\n", base, "s.com Opened"},
		{"gained", "", base, "s.com Gained MirrorsAdded"},
		{"lost", base, "", "s.com Lost MirrorsRemoved"},
		{"a carve-out", base, base + "b: s.com/x -> (none)\n", "s.com/x Gained MirrorsRemoved"},
		{"a carve-out of nothing", "", "b: s.com/x -> (none)\n", ""},
		{"the same as the broader source", base, base + "b: s.com/x -> a.com/1/x, b.com/1/x, c.com/1/x\n", ""},
		{"blocked by losing its opening", strings.TrimSpace(base) + " [Never]\nb: s.com/x -> (none)\n", strings.TrimSpace(base) + " [Never]\n", "s.com/x Lost MirrorsAdded Blocked"},
		{"a mirror that is blocked elsewhere", base, base + "b: b.com -> d.com/1 [Never]\n", "b.com Gained MirrorsAdded Blocked; s.com MirrorsRemoved"},
		{"a wildcard in a wildcard", "a: *.s.com -> a.com/1\n", "a: *.s.com -> a.com/1\nb: *.t.s.com -> b.com/1\n", "*.t.s.com Gained MirrorsAdded MirrorsRemoved"},
		{"a wildcard beside a host that is called any", "a: *.s.com -> a.com/1\na: any.s.com -> b.com/1\n", "a: any.s.com -> b.com/1\n", "*.s.com Lost MirrorsRemoved"},
		{"the source among its mirrors", base, "a: s.com -> a.com/1, s.com, b.com/1, c.com/1\n", "s.com MirrorsAdded"},
		{"tag mirrors", base, base + "T a: s.com -> t.com/1\n", "s.com tags: MirrorsAdded"},
		{"tag mirrors of a source of their own", "", "T a: s.com -> t.com/1\n", "s.com Gained tags: MirrorsAdded"},
		{"another order of tag mirrors", "T a: s.com -> t.com/1, u.com/1\n", "T a: s.com -> u.com/1, t.com/1\n", "s.com tags: MirrorsReordered"},
		{"both", base, "a: s.com -> a.com/1\nT a: s.com -> a.com/1\n", "s.com MirrorsRemoved tags: MirrorsAdded"},
		{"tag mirrors that block", base, base + "T a: s.com -> t.com/1 [Never]\n", "s.com Blocked tags: MirrorsAdded"},
		{"opened by losing tag mirrors that block", base + "T a: s.com -> t.com/1 [Never]\n", base, "s.com Opened tags: MirrorsRemoved"},
		{"tag mirrors that are inherited", base + "T a: s.com -> t.com/1\n", base + "T a: s.com -> t.com/1\nb: s.com/x -> x.com/1\n", "s.com/x Gained MirrorsAdded MirrorsRemoved"},
		{"tag mirrors that narrower sources inherit", base + "b: s.com/x -> x.com/1\n", base + "b: s.com/x -> x.com/1\nT a: s.com -> t.com/1\n", "s.com tags: MirrorsAdded; s.com/x tags: MirrorsAdded"},
		{"a carve-out for tags", "T a: s.com -> t.com/1\n", "T a: s.com -> t.com/1\nT b: s.com/x -> (none)\n", "s.com/x Gained tags: MirrorsRemoved"},
		{"a set of the other kind", base, strings.Replace(base, "a:", "T a:", 1), "s.com MirrorsRemoved tags: MirrorsAdded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var said []string
			for _, c := range compareRules(rulesOf(t, tt.before), rulesOf(t, tt.after)) {
				words := append([]string{string(c.Source)}, c.Changes...)
				if c.ByTag != nil {
					words = append(append(words, "tags:"), c.ByTag.Changes...)
				}
				said = append(said, strings.Join(words, " "))
			}
			if got := strings.Join(said, "; "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// An annotation changes how a mirror is reached, and so what is pulled.
func TestMirrorsThatBecomeInsecureAreAChange(t *testing.T) {
	const text = "a: s.com -> m.com/1, n.com/1\nT a: s.com -> t.com/1\n"
	rules := func(insecure string) []mirrors.Rule {
		sets, err := mirrorstest.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		mirrorstest.Annotate(sets, "a", insecure)
		return kinds.Merge(sets, nil).Rules
	}
	for _, tt := range []struct{ before, after, digests, tags string }{
		{"", "n.com", "MirrorsInsecure", ""},
		{"n.com", "", "MirrorsSecured", ""},
		{"n.com", "m.com", "MirrorsInsecure MirrorsSecured", ""},
		{"m.com", "m.com, other.com", "", ""},
		{"", "t.com", "", "MirrorsInsecure"},
	} {
		var digests, tags string
		for _, c := range compareRules(rules(tt.before), rules(tt.after)) {
			digests = strings.Join(c.Changes, " ")
			if c.ByTag != nil {
				tags = strings.Join(c.ByTag.Changes, " ")
			}
		}
		if digests != tt.digests || tags != tt.tags {
			t.Errorf("%q to %q: %q, tags %q; want %q, %q", tt.before, tt.after, digests, tags, tt.digests, tt.tags)
		}
	}
	var out strings.Builder
	if err := (&Difference{Sources: compareRules(rules(""), rules("n.com"))}).printTables(&out); err != nil || !strings.Contains(out.String(), "mirrors made insecure") || strings.Count(out.String(), "n.com/1 (insecure)\n") != 1 {
		t.Errorf("%v:\n%s", err, out.String())
	}
}

func rulesOf(t *testing.T, text string) []mirrors.Rule {
	t.Helper()
	sets, err := mirrorstest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return kinds.Merge(sets, nil).Rules
}
