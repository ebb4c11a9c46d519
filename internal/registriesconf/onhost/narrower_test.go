// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package onhost_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
)

const last = etc + "99-local.conf"

// findings are those of sets in the notation of mirrorstest on a host with these files, and the sources that are written there.
func findings(t *testing.T, sets string, have sinktest.Files) (c onhost.Candidate) {
	t.Helper()
	host, _ := sinktest.NewHost(t, have)
	parsed, err := mirrorstest.Parse(sets)
	if err != nil {
		t.Fatal(err)
	}
	rules := kinds.Merge(parsed, nil).Rules
	text, err := registriesconf.Encode(rules)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = onhost.Preflight(host, rules, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// mirrored is a table of others with mirrors.
func mirrored(prefix, rest string, mirrors ...string) string {
	text := table(prefix, rest)
	for _, m := range mirrors {
		text += "[[registry.mirror]]\nlocation = \"" + m + "\"\npull-from-mirror = \"digest-only\"\n"
	}
	return text
}

func TestATableInsideASourceIsReportedUnlessItDoesTheSame(t *testing.T) {
	const sets = "a: quay.io -> m.example/quay"
	const but = `ShadowsLocal: /` + last + ` on this node has a [[registry]] table with the prefix "quay.io/prom", so source "quay.io" is in force here except for images in "quay.io/prom", which that table makes CRI-O and Podman `
	for name, tc := range map[string]struct {
		sets, local string
		want        string // "" for nothing
	}{
		"it blocks":                        {sets, blocks("quay.io/prom"), but + "refuse; remove that table"},
		"it blocks all but a mirror":       {sets, mirrored("quay.io/prom", "blocked = true", "b.example"), but + "pull from b.example; remove"},
		"another mirror":                   {sets, mirrored("quay.io/prom", "", "b.example/q"), but + "pull from b.example/q, then quay.io/prom; remove"},
		"another location":                 {sets, "[[registry]]\nprefix = \"quay.io/prom\"\nlocation = \"b.example\"\n", but + "pull from b.example; remove"},
		"no mirror":                        {sets, table("quay.io/prom", ""), but + "pull from quay.io/prom; remove"},
		"one mirror more":                  {sets, mirrored("quay.io/prom", "", "m.example/quay/prom", "b.example"), but},
		"the mirror for tags too":          {sets, table("quay.io/prom", "[[registry.mirror]]\nlocation = \"m.example/quay/prom\""), but},
		"the mirror without its certs":     {sets, mirrored("quay.io/prom", "", "m.example/quay/prom") + "insecure = true\n", but},
		"the mirror, by another namespace": {sets, mirrored("quay.io/prom", "", "m.example/quay/prom") + "namespace-proxy = \"x\"\n", but},
		"the source without its certs":     {sets, mirrored("quay.io/prom", "insecure = true", "m.example/quay/prom"), but},
		"the very same":                    {sets, mirrored("quay.io/prom", "", "m.example/quay/prom"), ""},
		"the very same of a whole source":  {sets, mirrored("quay.io", "", "m.example/quay"), ""},
		"the same mirrors, blocked alike":  {"a: quay.io -> m.example/quay [Never]", mirrored("quay.io/prom", "blocked = true", "m.example/quay/prom"), ""},
		"blocked alike, at another place":  {"a: quay.io -> m.example/quay [Never]", mirrored("quay.io/prom", "blocked = true\ninsecure = true", "m.example/quay/prom"), ""},
		"the same places, itself blocked":  {"a: quay.io -> m.example, quay.io\nT b: quay.io -> m.example, quay.io", table("quay.io/prom", "blocked = true\n[[registry.mirror]]\nlocation = \"m.example/prom\"\n[[registry.mirror]]\nlocation = \"quay.io/prom\""), but},
		"blocked alike, without mirrors":   {"a: quay.io -> m.example/quay [Never]", blocks("quay.io/prom"), but + "refuse"},
		"open, where the sets block":       {"a: quay.io -> m.example/quay [Never]", mirrored("quay.io/prom", "", "m.example/quay/prom"), `that part of source "quay.io" is not blocked`},
		"a mirror where a set wants none":  {"a: quay.io -> (none)", mirrored("quay.io/prom", "", "m.example"), but},
		"none where a set wants none":      {"a: quay.io -> (none)", table("quay.io/prom", ""), ""},
		"below a source that a set opens":  {sets + "\na: quay.io/prom -> (none)", blocks("quay.io/prom/x"), `source "quay.io/prom" is in force here except for`},
		"a host below a wildcard":          {"a: *.io -> m.example", blocks("quay.io"), `source "*.io" is in force here except for images in "quay.io"`},
		"a wildcard below a wildcard":      {"a: *.io -> m.example", "[[registry]]\nprefix = \"*.quay.io\"\n", `images in "*.quay.io", which that table makes CRI-O and Podman pull from *.quay.io`},
		"what begins alike":                {"a: quay.io/pro -> m.example", blocks("quay.io/prom"), ""},
		"another port":                     {sets, blocks("quay.io:5000/x"), ""},
		"what no image is in":              {sets, blocks("quay.io/PROM") + blocks("quay.io/prom:1"), ""},
		"a wildcard wins over a host (Q1)": {"a: a.quay.io -> m.example/quay", "[[registry]]\nprefix = \"*.quay.io\"\n", `prefer to "a.quay.io" because it is no shorter, so source "a.quay.io" is not in force`},
		"a wildcard that does the same":    {"a: a.quay.io -> m.example/quay", "[[registry]]\nprefix = \"*.quay.io\"\n[[registry.mirror]]\nlocation = \"m.example/quay\"\npull-from-mirror = \"digest-only\"\n", ""},
		"as our wildcard does":             {"a: *.quay.io -> m.example/quay", table("a.quay.io", ""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			wantOneFinding(t, findings(t, tc.sets, sinktest.Files{last: tc.local}), tc.want)
		})
	}
}

func TestALocalBlockOfAMirrorIsReported(t *testing.T) {
	const sets = "a: quay.io -> m.example/quay"
	const by = `LocalBlock: /` + last + ` on this node blocks "`
	for name, tc := range map[string]struct {
		sets, local string
		want        string // "" for nothing
	}{
		"its registry":                 {sets, blocks("m.example"), by + `m.example", so CRI-O and Podman refuse mirror "m.example/quay" of source "quay.io" here; remove the [[registry]] table with that prefix`},
		"itself":                       {sets, blocks("m.example/quay"), `refuse mirror "m.example/quay" of`},
		"a part of it":                 {sets, blocks("m.example/quay/prom"), `refuse the part "m.example/quay/prom" of mirror "m.example/quay" of source "quay.io"`},
		"a wildcard above it":          {sets, "[[registry]]\nprefix = \"*.example\"\nblocked = true\n", by + `*.example", so`},
		"its registry at any port":     {"a: quay.io -> m.example:5000/quay", blocks("m.example"), by + `m.example", so`},
		"a part, of a wildcard's":      {"a: *.io -> m.example", blocks("m.example/x"), `refuse the part "m.example/x" of mirror "m.example" of source "*.io"`},
		"beside it":                    {sets, blocks("m.example/quays"), ""},
		"all but the mirror":           {sets, blocks("m.example") + table("m.example/quay", ""), ""},
		"a part that nobody asks for":  {sets + "\na: quay.io/prom -> b.example", blocks("m.example/quay/prom"), ""},
		"it is not blocked":            {sets, table("m.example", "insecure = true"), ""},
		"the mirror of blocked source": {sets + " [Never]", blocks("m.example"), by},
	} {
		t.Run(name, func(t *testing.T) {
			wantOneFinding(t, findings(t, tc.sets, sinktest.Files{last: tc.local}), tc.want)
		})
	}
	if c := findings(t, "a: quay.io -> m.example\nT a: quay.io -> b.example, m.example", sinktest.Files{last: blocks("m.example")}); len(c.Findings) != 1 {
		t.Errorf("a mirror for digests and for tags: %v", c.Findings)
	}
}

func TestAFileOfOthersWithOurNameIsReported(t *testing.T) {
	const name, rootful, sets = "50-mirrorset.conf", "etc/containers/registries.rootful.conf.d/", "a: quay.io -> m.example/quay\na: s.com -> m.example/s"
	c := findings(t, sets, sinktest.Files{rootful + name: ""})
	if len(c.Findings) != 1 || c.Rules != 2 {
		t.Fatalf("%d rules, findings %v", c.Rules, c.Findings)
	}
	if f := c.Findings[0]; f.Reason != onhost.ForeignFile || !slices.Equal(f.Sources, []string{"quay.io", "s.com"}) || !strings.Contains(f.Message, "/"+rootful+name+" on this node is not a file of Mirrorset, but has the same name as /"+onhost.Path) {
		t.Errorf("got %+v", f)
	}
	for _, dir := range []string{usr, "usr/share/containers/registries.rootful.conf.d/"} {
		c := findings(t, sets, sinktest.Files{dir + name: blocks("quay.io")})
		if len(c.Findings) > 0 || c.Rules != 2 || len(c.Problems) != 1 || c.Problems[0].Effect != nodecheck.Mild || c.Problems[0].Reason != onhost.ForeignFile || !strings.Contains(c.Problems[0].Message, "/"+dir+name) {
			t.Errorf("%s: %+v", dir, c)
		}
	}
	for link, target := range map[string]string{rootful + name: "../registries.conf.d/" + name, rootful[:len(rootful)-1]: "registries.conf.d", etc + "99-again.conf": "/" + onhost.Path} {
		host, root := sinktest.NewHost(t, sinktest.Files{onhost.Path: blocks("quay.io")})
		sinktest.Symlink(t, target, root, filepath.FromSlash(link))
		if c := preflight(t, host, "quay.io"); len(c.Findings)+len(c.Problems) > 0 {
			t.Errorf("%s leads to our own file: %+v", link, c)
		}
	}
}

// wantOneFinding wants one finding with a text, or, where that is empty, none; and the drop-in written in either case.
func wantOneFinding(t *testing.T, c onhost.Candidate, want string) {
	t.Helper()
	got := fmt.Sprint(c.Problems)
	for _, f := range c.Findings {
		got += fmt.Sprintf("%s: %s", f.Reason, f.Message)
	}
	if want == "" && got != "[]" || !strings.Contains(got, want) || len(c.Findings) > 1 {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if c.Text == nil {
		t.Error("what the local table leaves of the rules is not in force either")
	}
}
