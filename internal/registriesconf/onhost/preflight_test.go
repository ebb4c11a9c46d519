// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package onhost_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
)

// table is a registry table of others.
func table(prefix, rest string) string {
	return "[[registry]]\nprefix = \"" + prefix + "\"\nlocation = \"" + prefix + "\"\n" + rest + "\n"
}

func blocks(prefix string) string {
	return table(prefix, "blocked = true")
}

const wildcardBlock = "[[registry]]\nprefix = \"*.example.com\"\nblocked = true\n"

func TestRulesInABlockedScopeAreWithheld(t *testing.T) {
	const base, dropIn = "etc/containers/registries.conf", etc + "10-theirs.conf"
	local := func(block string) []string {
		return []string{"LocalBlock: /", " on this node blocks \"" + block + "\", so source "}
	}
	for name, tc := range map[string]struct {
		have     sinktest.Files
		sources  []string
		kept     []string
		findings [][]string
	}{
		"the same source":                        {sinktest.Files{dropIn: blocks("example.com")}, []string{"example.com"}, nil, [][]string{local("example.com")}},
		"by the base file":                       {sinktest.Files{base: blocks("example.com")}, []string{"example.com"}, nil, [][]string{local("example.com")}},
		"by the vendor's base file":              {sinktest.Files{"usr/share/containers/registries.conf": blocks("example.com")}, []string{"example.com"}, nil, [][]string{local("example.com")}},
		"by a file that is read after ours":      {sinktest.Files{etc + "99-theirs.conf": blocks("example.com")}, []string{"example.com"}, nil, [][]string{local("example.com")}},
		"by the vendor's drop-in":                {sinktest.Files{usr + "10-vendor.conf": blocks("example.com")}, []string{"example.com"}, nil, [][]string{local("example.com")}},
		"by a drop-in for root only":             {sinktest.Files{"etc/containers/registries.rootful.conf.d/1.conf": blocks("example.com")}, []string{"example.com"}, nil, [][]string{local("example.com")}},
		"by a dot file":                          {sinktest.Files{etc + ".hidden.conf": blocks("example.com")}, []string{"example.com"}, nil, [][]string{local("example.com")}},
		"a namespace of a blocked host":          {sinktest.Files{dropIn: blocks("example.com")}, []string{"example.com/a/b"}, nil, [][]string{local("example.com")}},
		"a port of a blocked host, as with Q2":   {sinktest.Files{dropIn: blocks("example.com")}, []string{"example.com:5000"}, nil, [][]string{local("example.com")}},
		"a path at a port of a blocked host":     {sinktest.Files{dropIn: blocks("example.com")}, []string{"example.com:5000/a"}, nil, [][]string{local("example.com")}},
		"a subdomain of a blocked wildcard":      {sinktest.Files{dropIn: wildcardBlock}, []string{"a.example.com"}, nil, [][]string{local("*.example.com")}},
		"a path below a blocked wildcard":        {sinktest.Files{dropIn: wildcardBlock}, []string{"a.b.example.com/x"}, nil, [][]string{local("*.example.com")}},
		"a port below a blocked wildcard":        {sinktest.Files{dropIn: wildcardBlock}, []string{"a.example.com:5000/x"}, nil, [][]string{local("*.example.com")}},
		"the same wildcard":                      {sinktest.Files{dropIn: wildcardBlock}, []string{"*.example.com"}, nil, [][]string{local("*.example.com")}},
		"a wildcard below a blocked wildcard":    {sinktest.Files{dropIn: wildcardBlock}, []string{"*.b.example.com"}, nil, [][]string{local("*.example.com")}},
		"one that blocks as well":                {sinktest.Files{dropIn: blocks("example.com")}, []string{"!example.com/a"}, nil, [][]string{local("example.com")}},
		"what opens a part is not said apart":    {sinktest.Files{dropIn: blocks("example.com") + table("example.com/open", "")}, []string{"example.com"}, nil, [][]string{local("example.com")}},
		"but not the others":                     {sinktest.Files{dropIn: blocks("example.com")}, []string{"a.com", "example.com/a", "z.com"}, []string{"a.com", "z.com"}, [][]string{local("example.com")}},
		"but not the domain of a wildcard":       {sinktest.Files{dropIn: wildcardBlock}, []string{"example.com"}, []string{"example.com"}, nil},
		"but not a name that begins alike":       {sinktest.Files{dropIn: blocks("example.com/lib")}, []string{"example.com/libpod"}, []string{"example.com/libpod"}, nil},
		"but not inside an open table":           {sinktest.Files{dropIn: blocks("example.com") + table("example.com/open", "")}, []string{"example.com/open/x"}, []string{"example.com/open/x"}, nil},
		"but not by a file with another ending":  {sinktest.Files{etc + "10.conf.bak": "broken", etc + "conf": blocks("example.com")}, []string{"example.com"}, []string{"example.com"}, nil},
		"but not by a folder":                    {sinktest.Files{etc + "10.conf/x.conf": blocks("example.com")}, []string{"example.com"}, []string{"example.com"}, nil},
		"but not by a vendor's file that is off": {sinktest.Files{usr + "10.conf": blocks("example.com"), etc + "10.conf": ""}, []string{"example.com"}, []string{"example.com"}, nil},
		"but not by a base file that is hidden":  {sinktest.Files{"usr/share/containers/registries.conf": blocks("example.com"), base: ""}, []string{"example.com"}, []string{"example.com"}, nil},
		"but not by our own drop-in":             {sinktest.Files{onhost.Path: blocks("example.com")}, []string{"example.com"}, []string{"example.com"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			kept, findings := try(t, tc.have, tc.sources...)
			wantTry(t, kept, findings, tc.kept, tc.findings)
			for path := range tc.have { // the one that has the block
				if len(findings) > 0 && !strings.Contains(findings[0], "LocalBlock: /"+path+" on this node blocks ") {
					t.Errorf("finding %q does not name /%s", findings[0], path)
				}
			}
		})
	}
}

func TestOfSeveralFilesTheOneThatCountsIsNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		have sinktest.Files
		want string
	}{
		"two block it":               {sinktest.Files{etc + "10.conf": blocks("s.com"), etc + "20.conf": blocks("s.com")}, "LocalBlock: /" + etc + "20.conf on this node blocks \"s.com\""},
		"and the base file too":      {sinktest.Files{"etc/containers/registries.conf": blocks("s.com"), usr + "20.conf": blocks("s.com")}, "LocalBlock: /" + usr + "20.conf on this node blocks \"s.com\""},
		"one blocks what it is in":   {sinktest.Files{etc + "10.conf": blocks("s.com"), etc + "99.conf": table("t.com", "")}, "LocalBlock: /" + etc + "10.conf on this node blocks \"s.com\""},
		"two are read later":         {sinktest.Files{etc + "98.conf": table("s.com/x", ""), etc + "99.conf": table("s.com/x", "")}, "ShadowsLocal: /" + etc + "99.conf on this node is read after the drop-in of Mirrorset"},
		"one is read later, of many": {sinktest.Files{etc + "10.conf": table("s.com/x", ""), etc + "99.conf": table("s.com/x", "")}, "ShadowsLocal: /" + etc + "99.conf on this node is read after the drop-in of Mirrorset"},
		"all are read before":        {sinktest.Files{"etc/containers/registries.conf": table("s.com/x", ""), etc + "20.conf": table("s.com/x", "")}, "with that prefix in /" + etc + "20.conf"},
		"a broken one plays no part": {sinktest.Files{etc + "10.conf": blocks("s.com"), etc + "99.conf": "[[registry"}, "LocalBlock: /" + etc + "10.conf on this node blocks \"s.com\""},
		"a setting that ours hides":  {sinktest.Files{etc + "10.conf": table("s.com", "insecure = true")}, "insecure = true, which /" + etc + "10.conf sets for \"s.com\""},
	} {
		t.Run(name, func(t *testing.T) {
			_, findings := try(t, tc.have, "s.com/x")
			if got := strings.Join(findings, "\n"); !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestLinksLeadWhereTheyLeadOnTheHost(t *testing.T) {
	const theirs = etc + "10-theirs.conf"
	for name, links := range map[string]map[string]string{
		"a drop-in with an absolute target":   {theirs: "/srv/block.conf"},
		"a drop-in with a relative target":    {theirs: "../../../srv/block.conf"},
		"a link to a link":                    {theirs: "/srv/link", "srv/link": "/srv/block.conf"},
		"the base file":                       {"etc/containers/registries.conf": "/srv/block.conf"},
		"the folder":                          {usr[:len(usr)-1]: "/srv"},
		"a link that leads up above the root": {theirs: "/../srv/block.conf"},
	} {
		t.Run(name, func(t *testing.T) {
			host, root := sinktest.NewHost(t, sinktest.Files{"srv/block.conf": blocks("s.com")})
			for at, target := range links {
				sinktest.Symlink(t, target, root, at)
			}
			c := preflight(t, host, "s.com")
			if c.Rules != 0 || len(c.Findings) != 1 || c.Findings[0].Reason != onhost.LocalBlock {
				t.Errorf("%d rules are kept, findings %v", c.Rules, c.Findings)
			}
		})
	}
}

func TestAFileThatCannotBeReadIsReported(t *testing.T) {
	for name, target := range map[string]string{
		"a link that leads out of the root": "../../../../../../../../etc/hostname",
		"a link to itself":                  "/" + etc + "10-theirs.conf",
		"a link to a folder":                "/etc",
		"a link to what is not mounted":     "/srv/block.conf",
	} {
		t.Run(name, func(t *testing.T) {
			host, root := sinktest.NewHost(t, nil)
			sinktest.Symlink(t, target, root, etc+"10-theirs.conf")
			c := preflight(t, host, "s.com")
			if c.Rules != 1 || len(c.Problems) != 1 || c.Problems[0].Effect != nodecheck.Unsure || !strings.Contains(c.Problems[0].Message, "/"+etc+"10-theirs.conf") {
				t.Errorf("%d rules are kept, problems %v", c.Rules, c.Problems)
			}
		})
	}
}

func TestWhatOneFileHidesOfAnotherIsReported(t *testing.T) {
	const before, after = etc + "10-theirs.conf", etc + "99-theirs.conf"
	says := func(effect string, parts ...string) [][]string {
		return [][]string{append([]string{effect + " ShadowsLocal: "}, parts...)}
	}
	shadows := func(parts ...string) [][]string { return says("Mild", parts...) }
	takes := func(parts ...string) [][]string { return says("NotInForce", parts...) }
	for name, tc := range map[string]struct {
		have     sinktest.Files
		source   string
		findings [][]string
	}{
		"our table replaces one that is read before": {sinktest.Files{before: table("s.com", "")}, "s.com", shadows(`source "s.com" replaces`)},
		"our table replaces the base file's":         {sinktest.Files{"etc/containers/registries.conf": table("s.com", "")}, "s.com", shadows(`replaces`)},
		"a later file's table replaces ours":         {sinktest.Files{after: table("s.com", "")}, "s.com", takes("not in force", "/"+after)},
		"a later vendor's table replaces ours":       {sinktest.Files{usr + "99-vendor.conf": table("s.com", "")}, "s.com", takes("not in force", "/"+usr+"99-vendor.conf")},
		"a later one without a prefix replaces ours": {sinktest.Files{after: "[[registry]]\nlocation = \"s.com/\"\n"}, "s.com", takes("not in force", "/"+after)},
		"files before and after ours have the table": {sinktest.Files{before: table("s.com", ""), after: table("s.com", "")}, "s.com", takes("not in force")},
		"a later file has another table":             {sinktest.Files{before: table("s.com", ""), after: table("t.com", "")}, "s.com", shadows("replaces")},
		"ours hides a broader insecure":              {sinktest.Files{before: table("s.com", "insecure = true")}, "s.com/a", shadows(`source "s.com/a" hides insecure = true`, `for "s.com"`)},
		"ours hides a broader secure":                {sinktest.Files{before: table("insecure.com", "")}, "insecure.com/a", shadows("hides insecure = false")},
		"ours hides a broader location":              {sinktest.Files{before: "[[registry]]\nprefix = \"s.com\"\nlocation = \"t.com\"\n"}, "s.com/a", shadows(`hides location = "t.com"`)},
		"ours hides a wildcard's location":           {sinktest.Files{before: "[[registry]]\nprefix = \"*.s.com\"\nlocation = \"t.com\"\n"}, "ab.s.com", shadows(`hides location = "t.com"`)},
		"a broader table says nothing that is lost":  {sinktest.Files{before: table("s.com", "")}, "s.com/a", nil},
		"a broader one is as insecure as ours":       {sinktest.Files{before: table("insecure.com", "insecure = true")}, "insecure.com/a", nil},
		"a narrower table takes a part of ours":      {sinktest.Files{after: table("s.com/a", "insecure = true")}, "s.com", takes(`source "s.com" is in force here except for images in "s.com/a"`, "/"+after, "pull from s.com/a")},
		"a file says nothing about registries":       {sinktest.Files{before: "unqualified-search-registries = [\"s.com\"]\n"}, "s.com", nil},
		"a later table of another port":              {sinktest.Files{after: table("s.com:5000", "")}, "s.com", nil},
	} {
		t.Run(name, func(t *testing.T) {
			kept, findings := try(t, tc.have, tc.source)
			wantTry(t, kept, findings, []string{tc.source}, tc.findings)
		})
	}
}

func TestFilesThatOthersBrokeAreReportedAndDoNotStopOurs(t *testing.T) {
	const dropIn = etc + "10-theirs.conf"
	for name, broken := range map[string]struct{ path, content string }{
		"no TOML":                       {dropIn, "[[registry"},
		"the old version's format":      {dropIn, "[registries.block]\nregistries = [\"a.com\"]\n"},
		"the base file":                 {"etc/containers/registries.conf", "x"},
		"the base file's old format":    {"etc/containers/registries.conf", "[registries.search]\nregistries = [\"a.com\"]\n"},
		"a table without a location":    {dropIn, "[[registry]]\nblocked = true\n"},
		"a table that contradicts":      {dropIn, table("a.com", "") + "[[registry]]\nprefix=\"b.com\"\nlocation=\"a.com\"\nblocked=true\n"},
		"a wildcard with a path":        {dropIn, "[[registry]]\nprefix=\"*.a.com/x\"\nlocation=\"a.com\"\n"},
		"a dot file":                    {etc + ".x.conf", "x"},
		"the vendor's":                  {usr + "x.conf", "x"},
		"a file that is read after us":  {etc + "99.conf", "x"},
		"a short-name mode of no sense": {dropIn, "short-name-mode = \"maybe\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			have := sinktest.Files{broken.path: broken.content, etc + "20-good.conf": blocks("b.com")}
			kept, findings := try(t, have, "b.com/x", "s.com")
			wantTry(t, kept, findings, []string{"s.com"}, [][]string{{"Unread LocalBroken: ", "/" + broken.path, "systemctl reload crio"}, {"LocalBlock: ", "b.com"}})
		})
	}
}

func TestTheProcessesOwnEnvironmentPlaysNoPart(t *testing.T) {
	have := sinktest.Files{etc + "10.conf": blocks("blocked.com")}
	for name, set := range map[string]func(t *testing.T, file string){
		"CONTAINERS_REGISTRIES_CONF":            func(t *testing.T, file string) { t.Setenv("CONTAINERS_REGISTRIES_CONF", file) },
		"CONTAINERS_REGISTRIES_CONF, no file":   func(t *testing.T, _ string) { t.Setenv("CONTAINERS_REGISTRIES_CONF", "/no/such/file") },
		"CONTAINERS_REGISTRIES_CONF_OVERRIDE":   func(t *testing.T, file string) { t.Setenv("CONTAINERS_REGISTRIES_CONF_OVERRIDE", file) },
		"the same, no file":                     func(t *testing.T, _ string) { t.Setenv("CONTAINERS_REGISTRIES_CONF_OVERRIDE", "/no/such/file") },
		"REGISTRIES_CONFIG_PATH, an older name": func(t *testing.T, file string) { t.Setenv("REGISTRIES_CONFIG_PATH", file) },
		"HOME":                                  home,
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			sinktest.Write(t, root, "env.conf", blocks("s.com"))
			set(t, root+"/env.conf")
			kept, findings := try(t, have, "blocked.com/x", "s.com")
			wantTry(t, kept, findings, []string{"s.com"}, [][]string{{"LocalBlock: ", "blocked.com"}})
		})
	}
}

// home is one with files for rootless use.
func home(t *testing.T, _ string) {
	root := t.TempDir()
	sinktest.Write(t, root, ".config/containers/registries.conf", blocks("s.com"))
	sinktest.Write(t, root, ".config/containers/registries.conf.d/1.conf", blocks("s.com"))
	t.Setenv("HOME", root)
	t.Setenv("XDG_CONFIG_HOME", root+"/.config")
}

func TestATableThatOpensABlockedSourceIsReported(t *testing.T) {
	kept, findings := try(t, sinktest.Files{etc + "10-local.conf": "[[registry]]\nlocation = \"ghcr.io/example/sub\"\n"}, "!ghcr.io/example", "quay.io")
	wantTry(t, kept, findings, []string{"ghcr.io/example", "quay.io"}, [][]string{{"NotInForce ShadowsLocal", `part of source "ghcr.io/example" is not blocked`, "ghcr.io/example/sub"}})
}

func TestWhatIsNoRegularFileIsReportedAndNotWaitedFor(t *testing.T) {
	for _, name := range []string{"etc/containers/registries.conf", etc + "10-pipe.conf"} {
		host, root := sinktest.NewHost(t, sinktest.Files{etc + "20-theirs.conf": ""})
		if err := syscall.Mkfifo(filepath.Join(root, name), 0o600); err != nil {
			t.Fatal(err)
		}
		c := preflight(t, host, "s.com")
		if string(c.Text) != string(sinktest.Text(t, "s.com")) {
			t.Errorf("%s: got %s", name, c.Text)
		}
		if !strings.Contains(fmt.Sprint(c.Problems), "not a regular file") {
			t.Errorf("%s: problems %v", name, c.Problems)
		}
	}
}

func TestAHugeFileOfOthersIsReportedAndNotRead(t *testing.T) {
	host, root := sinktest.NewHost(t, sinktest.Files{etc + "10-huge.conf": ""})
	if err := os.Truncate(filepath.Join(root, etc+"10-huge.conf"), 3<<30); err != nil {
		t.Fatal(err)
	}
	if c := preflight(t, host, "s.com"); !strings.Contains(fmt.Sprint(c.Problems), "more than") {
		t.Errorf("problems %v", c.Problems)
	}
}

func TestHostsOfOneProcessDoNotMeet(t *testing.T) {
	for range 8 { // at once
		t.Run("", func(t *testing.T) {
			t.Parallel()
			host, _ := sinktest.NewHost(t, sinktest.Files{etc + "10-theirs.conf": blocks("example.com")})
			for range 20 {
				if c := preflight(t, host, "example.com", "z.com"); c.Rules != 1 {
					t.Fatalf("%d rules", c.Rules)
				}
			}
		})
	}
}
