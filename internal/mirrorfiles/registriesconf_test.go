// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"
	"pgregory.net/rapid"

	"github.com/mirrorset/mirrorset/internal/mirrorfiles"
	"github.com/mirrorset/mirrorset/internal/mirrorfiles/settle"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// consumer is the library of CRI-O and Podman, over one file.
type consumer struct{ sys *types.SystemContext }

func newConsumer(t *testing.T) consumer {
	dir := t.TempDir()
	dropIns := filepath.Join(dir, "registries.conf.d")
	if err := os.Mkdir(dropIns, 0o700); err != nil {
		t.Fatal(err)
	}
	return consumer{&types.SystemContext{SystemRegistriesConfPath: filepath.Join(dir, "registries.conf"), SystemRegistriesConfDirPath: dropIns}}
}

func (c consumer) load(t logger, text string) []sysregistriesv2.Registry {
	t.Helper()
	if err := os.WriteFile(c.sys.SystemRegistriesConfPath, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sysregistriesv2.InvalidateCache()
	tables, err := sysregistriesv2.GetRegistries(c.sys)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return tables
}

// tried is where the library pulls an image from, as its docker transport does: each place unless it lies in a blocked source.
func (c consumer) tried(t logger, image string) (places []string, prefix string) {
	t.Helper()
	find := func(named reference.Named) *sysregistriesv2.Registry {
		found, err := sysregistriesv2.FindRegistry(c.sys, named.Name())
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	named, err := reference.ParseNamed(image)
	if err != nil {
		t.Fatal(err)
	}
	table := find(named)
	if table == nil {
		return []string{image}, ""
	}
	sources, err := table.PullSourcesFromReference(named)
	if err != nil {
		return []string{"fails"}, table.Prefix
	}
	for _, s := range sources {
		if by := find(s.Reference); by == nil || !by.Blocked {
			places = append(places, s.Reference.String())
		}
	}
	return places, table.Prefix
}

// drawTable draws a table of registries.conf. No host is as long as a wildcard (Q1).
func drawTable(t *rapid.T) string {
	location := rapid.SampledFrom([]string{"src.com", "src.com/a", "src.com/a/b", "docker.io", "docker.io/library", "tgt.com:5000"})
	place := rapid.SampledFrom([]string{"mir.com", "mir.com:5000/x", "nnn.com/y/z", "src.com", "src.com/a", "oth.com"})
	var text strings.Builder
	source := location.Draw(t, "source")
	switch rapid.IntRange(0, 5).Draw(t, "form") {
	case 0:
		fmt.Fprintf(&text, "[[registry]]\nprefix = %q\nlocation = %q\n", source, place.Draw(t, "location"))
	case 1:
		source = rapid.SampledFrom([]string{"*.com", "*.www.com"}).Draw(t, "wildcard")
		fmt.Fprintf(&text, "[[registry]]\nprefix = %q\n", source)
	default:
		fmt.Fprintf(&text, "[[registry]]\nlocation = %q\n", source)
	}
	digestOnly := rapid.IntRange(0, 4).Draw(t, "digests") == 0
	if digestOnly {
		text.WriteString("mirror-by-digest-only = true\n")
	}
	for range rapid.IntRange(0, 3).Draw(t, "mirrors") {
		fmt.Fprintf(&text, "[[registry.mirror]]\nlocation = %q\n", place.Draw(t, "mirror"))
		if pull := rapid.SampledFrom([]string{"", "", "all", "digest-only", "tag-only"}).Draw(t, "pull"); pull != "" && !digestOnly {
			fmt.Fprintf(&text, "pull-from-mirror = %q\n", pull)
		}
	}
	return text.String()
}

var pulled = []string{"src.com/x", "src.com/a/x", "src.com/a/b/x", "docker.io/library/x", "docker.io/x/y", "tgt.com:5000/x", "tgt.com:5000/a/x", "aa.www.com/x", "bbb.com/x"}

// TestTablesMeanTheSameOrAreLeftOut holds the library's own answers of a file against those of the file that our sets become.
func TestTablesMeanTheSameOrAreLeftOut(t *testing.T) {
	c := newConsumer(t)
	compared, mirrored, leftOut := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		blocked := rapid.SampledFrom([]string{"", "", "src.com", "src.com/a", "tgt.com:5000"}).Draw(t, "blocked")
		var texts []string
		for _, table := range rapid.SliceOfN(rapid.Custom(drawTable), 1, 4).Draw(t, "tables") {
			if heading := fmt.Sprintf("[[registry]]\nlocation = %q\n", blocked); strings.HasPrefix(table, heading) {
				table = strings.Replace(table, heading, heading+"blocked = true\n", 1)
			} else if strings.Contains(table, fmt.Sprintf("\nlocation = %q\n", blocked)) && strings.HasPrefix(table, "[[registry]]\nprefix") {
				continue // the library refuses it
			}
			texts = append(texts, table)
		}
		text := strings.Join(texts, "\n")
		content := mirrorfiles.Tables(c.load(t, text))
		lost, err := settle.Files([]*mirrorfiles.Content{content}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, loss := range lost {
			content.Lost = append(content.Lost, loss.Text)
		}
		type answer struct {
			places []string
			prefix string
		}
		want := map[string]answer{}
		for _, name := range pulled {
			for _, suffix := range []string{digest, ":1"} {
				places, prefix := c.tried(t, name+suffix)
				want[name+suffix] = answer{places, prefix}
			}
		}
		rendered, err := registriesconf.Encode(merged(content).Rules)
		if err != nil {
			t.Fatal(err)
		}
		c.load(t, string(rendered))
		for image, w := range want {
			if slices.ContainsFunc(content.Lost, func(lost string) bool { return strings.HasPrefix(lost, fmt.Sprintf("source %q is left out", w.prefix)) }) {
				leftOut++
				w.places = []string{image}
			}
			got, _ := c.tried(t, image)
			got = slices.DeleteFunc(got, func(place string) bool { return strings.HasPrefix(place, mirrorfiles.Blocked+"/") })
			if !slices.Equal(trimmed(got), trimmed(w.places)) {
				t.Fatalf("%s: %q, want %q, of\n%s\nwhich became\n%s", image, got, w.places, text, rendered)
			}
			compared++
			if len(w.places) > 1 {
				mirrored++
			}
		}
	})
	t.Logf("%d compared, %d of them with mirrors, %d left out", compared, mirrored, leftOut)
	if !t.Failed() && (mirrored < compared/10 || leftOut == 0) {
		t.Errorf("%d compared, %d of them with mirrors, %d left out", compared, mirrored, leftOut)
	}
}

// trimmed has each place once: who is asked twice in a row is asked.
func trimmed(places []string) (kept []string) {
	for _, place := range places {
		if !slices.Contains(kept, place) {
			kept = append(kept, place)
		}
	}
	return kept
}

func TestABlockedTableWithoutMirrorsIsBlockedByAMirrorThatCannotExist(t *testing.T) {
	content := mirrorfiles.Tables(newConsumer(t).load(t, "[[registry]]\nlocation = \"docker.io\"\nblocked = true\n[[registry]]\nlocation = \"mir.com\"\ninsecure = true\n"))
	for _, suffix := range []string{digest, ":1"} {
		if got := places(t, merged(content).Rules, "alpine"+suffix); !slices.Equal(got, []string{mirrorfiles.Blocked + "/library/alpine"}) {
			t.Errorf("alpine%s comes from %q", suffix, got)
		}
	}
	says(t, content.Ignored, `"docker.io" is blocked and has no mirror`, mirrorfiles.Blocked)
	says(t, content.Elsewhere, "--insecure-registry=mir.com")
}

func TestATableOutsideTheGrammarIsLeftOut(t *testing.T) {
	content := mirrorfiles.Tables(newConsumer(t).load(t, "[[registry]]\nprefix = \"quay.io/a:v1\"\nlocation = \"quay.io/b\"\n[[registry]]\nlocation = \"gcr.io\"\n[[registry.mirror]]\nlocation = \"mirror\"\n"))
	if len(content.Entries) > 0 {
		t.Errorf("entries %v", content.Entries)
	}
	says(t, content.Lost, `source "quay.io/a:v1" is left out`)
	says(t, content.Lost, `source "gcr.io" is left out`, "its host is a single label")
	content = mirrorfiles.Tables(newConsumer(t).load(t, "[[registry]]\nlocation = \"gcr.io\"\nblocked = true\n[[registry.mirror]]\nlocation = \"mirror\"\n"))
	says(t, content.Lost, `source "gcr.io" loses its mirrors, and stays blocked`)
	if got := places(t, merged(content).Rules, "gcr.io/a:1"); !slices.Equal(got, []string{mirrorfiles.Blocked + "/a"}) {
		t.Errorf("gcr.io/a comes from %q", got)
	}
}

// The library finds a host with a port below a wildcard too (Q2).
func TestATableWithoutMirrorsKeepsThoseOfAWildcardFromAHostWithAPort(t *testing.T) {
	content := mirrorfiles.Tables(newConsumer(t).load(t, "[[registry]]\nprefix = \"*.com\"\n[[registry.mirror]]\nlocation = \"m.example\"\n[[registry]]\nlocation = \"tgt.com:5000\"\n"))
	if got := sources(content); !slices.Equal(got, []string{"*.com", "tgt.com:5000"}) {
		t.Errorf("sources %q", got)
	}
}

func TestWhatIsNoTableStaysInARegistriesConf(t *testing.T) {
	content, err := mirrorfiles.Settings([]byte("unqualified-search-registries = []\nshort-name-mode = 'enforcing'\ncredential-helpers = ['x']\nof-later = 1\n" +
		"[[registry]]\nlocation = 'quay.io'\npriority = 1\n[[registry.mirror]]\nlocation = 'm.example'\n[aliases]\na = 'docker.io/library/a'\nb = 'docker.io/library/b'\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"unqualified-search-registries", "short-name-mode", "credential-helpers", "of-later", "aliases"} {
		says(t, content.Elsewhere, fmt.Sprintf("%q", setting), "keep it in a registries.conf")
	}
	if len(content.Elsewhere) != 5 || len(content.Ignored) != 1 {
		t.Errorf("%q, %q", content.Elsewhere, content.Ignored)
	}
	says(t, content.Ignored, `"registry.priority"`)
}

func TestATableWithANamespaceProxyIsLeftOut(t *testing.T) {
	for _, text := range []string{
		"[[registry]]\nlocation = 'gcr.io'\n[[registry.mirror]]\nlocation = 'm.example'\nnamespace-proxy = 'gcr.io'\n",
		"[[registry]]\nprefix = 'gcr.io'\nlocation = 'm.example'\nnamespace-proxy = 'gcr.io'\n",
	} {
		content := mirrorfiles.Tables(newConsumer(t).load(t, text))
		if len(content.Entries) > 0 {
			t.Errorf("entries %v", content.Entries)
		}
		says(t, content.Lost, `source "gcr.io" is left out`, `"m.example" has namespace-proxy = "gcr.io"`)
	}
}

// Its mirror stands for the source, which no set can have asked and blocked.
func TestATableThatMovesASourceAndAsksItTooIsLeftOut(t *testing.T) {
	content := mirrorfiles.Tables(newConsumer(t).load(t, "[[registry]]\nprefix = \"src.com\"\nlocation = \"new.com\"\n[[registry.mirror]]\nlocation = \"new.com\"\n[[registry.mirror]]\nlocation = \"src.com\"\n"))
	lost, err := settle.Files([]*mirrorfiles.Content{content}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(lost) != 1 || !strings.HasPrefix(lost[0].Text, `source "src.com" is left out`) || len(content.Entries) > 0 {
		t.Errorf("lost %+v, entries %v", lost, content.Entries)
	}
}
