// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package settle_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrorfiles"
	"github.com/mirrorset/mirrorset/internal/mirrorfiles/settle"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// settled has the files say what they can together, each called by its number, and returns it all as one.
func settled(beside []mirrors.Set, files ...*mirrorfiles.Content) *mirrorfiles.Content {
	all := &mirrorfiles.Content{}
	for i, file := range files {
		file.Place = fmt.Sprintf("file %d", i)
		all.Lost = append(all.Lost, file.Lost...)
	}
	lost, err := settle.Files(files, beside)
	if err != nil {
		panic(err) // with what tests have
	}
	for _, loss := range lost {
		all.Lost = append(all.Lost, loss.Place+": "+loss.Text)
	}
	for _, file := range files {
		all.Entries = append(all.Entries, file.Entries...)
	}
	return all
}

func TestWhatIsTooLargeToBeJudgedIsAnError(t *testing.T) {
	file := &mirrorfiles.Content{}
	long := mirrors.SetEntry{Source: "s.com"}
	for i := range 600 { // each of the sources inherits each of the mirrors
		file.Entries = append(file.Entries, mirrorfiles.Entry{Mode: mirrors.ByDigest, SetEntry: mirrors.SetEntry{Source: fmt.Sprintf("s.com/%d", i), Mirrors: []string{"d.net"}}})
		long.Mirrors = append(long.Mirrors, fmt.Sprintf("t%d.net", i))
	}
	beside := []mirrors.Set{{Object: mirrors.Object{Kind: &kinds.Tag.Kind, Name: "t"}, Entries: []mirrors.SetEntry{long}}}
	if lost, err := settle.Files([]*mirrorfiles.Content{file}, beside); !errors.Is(err, mirrors.ErrTooLarge) {
		t.Errorf("lost %v, error %v", lost, err)
	}
}

func TestARegistryThatIsAMirrorToo(t *testing.T) {
	hosts := func(host, text string) *mirrorfiles.Content { return mirrorfiles.Hosts(host, []byte(text)) }
	set := []mirrors.Set{{Object: mirrors.Object{Kind: &kinds.Digest.Kind, Name: "own"}, Entries: []mirrors.SetEntry{{Source: "corp.example", Mirrors: []string{"m.example"}, Policy: mirrors.NeverContactSource}}}}
	for name, tt := range map[string]struct {
		beside []mirrors.Set
		files  []*mirrorfiles.Content
		lost   []string          // parts of the only text; none where all is kept
		comes  map[string]string // where an image comes from, by digest and by tag
	}{
		"k3s without a default endpoint": {
			files: []*mirrorfiles.Content{k3sFile(t, `mirrors: {docker.io: {endpoint: ["https://corp.example"]}, corp.example: {endpoint: ["https://replica.example"]}}`, true)},
			lost:  []string{`file 0: source "corp.example" is left out`, `the mirror "corp.example" of source "docker.io" is part of it`},
			comes: map[string]string{"docker.io/library/nginx": "corp.example/library/nginx", "corp.example/x": "corp.example/x"},
		},
		"k3s with one": {
			files: []*mirrorfiles.Content{k3sFile(t, `mirrors: {docker.io: {endpoint: ["https://corp.example"]}, corp.example: {endpoint: ["https://replica.example"]}}`, false)},
			comes: map[string]string{"docker.io/library/nginx": "corp.example/library/nginx docker.io/library/nginx", "corp.example/x": "replica.example/x corp.example/x"},
		},
		"k3s, a path of it": {
			files: []*mirrorfiles.Content{k3sFile(t, `mirrors: {docker.io: {endpoint: ["https://corp.example/v2/hub"]}, corp.example: {endpoint: ["https://replica.example"], rewrite: {"^hub/(.*)": "h/$1"}}}`, true)},
			lost:  []string{`file 0: source "corp.example/hub" is left out`, `the mirror "corp.example/hub" of source "docker.io"`},
			comes: map[string]string{"docker.io/library/nginx": "corp.example/hub/library/nginx", "corp.example/hub/x": "corp.example/hub/x", "corp.example/x": "replica.example/x"},
		},
		"k3s, what is below a mirror": {
			files: []*mirrorfiles.Content{
				k3sFile(t, `mirrors: {docker.io: {endpoint: ["https://corp.example"]}}`, false),
				k3sFile(t, `mirrors: {corp.example: {endpoint: ["https://replica.example", "https://corp.example"]}}`, false),
			},
			comes: map[string]string{"docker.io/a/b": "corp.example/a/b docker.io/a/b", "corp.example/x": "replica.example/x corp.example/x"},
		},
		"certs.d": {
			files: []*mirrorfiles.Content{hosts("a.io", `server = "https://m.example"`), hosts("c.io", "[host.\"https://a.io\"]\n")},
			lost:  []string{`file 0: source "a.io" is left out`, `the mirror "a.io" of source "c.io" in file 1 is part of it`},
			comes: map[string]string{"a.io/x": "a.io/x", "c.io/x": "a.io/x c.io/x"},
		},
		"Talos": {
			files: []*mirrorfiles.Content{file(t, `machine: {registries: {mirrors: {a.io: {endpoints: ["https://m.example"], skipFallback: true}, c.io: {endpoints: ["https://a.io"]}}}}`, mirrorfiles.TalosMachine)},
			lost:  []string{`file 0: source "a.io" is left out`, `the mirror "a.io" of source "c.io"`},
			comes: map[string]string{"a.io/x": "a.io/x", "c.io/x": "a.io/x c.io/x"},
		},
		"a mirror in the registry itself": {
			files: []*mirrorfiles.Content{hosts("quay.io", "server = \"https://quay.io/v2/foo\"\noverride_path = true\n")},
			lost:  []string{`file 0: source "quay.io" is left out`, `its own mirror "quay.io/foo" is part of it`},
			comes: map[string]string{"quay.io/x": "quay.io/x"},
		},
		"registries.conf beside a hosts.toml": {
			files: []*mirrorfiles.Content{
				tables(t, "[[registry]]\nlocation = \"a.io\"\nblocked = true\n[[registry.mirror]]\nlocation = \"m.example\"\n[[registry]]\nlocation = \"b.io\"\n[[registry.mirror]]\nlocation = \"a.io\"\n"),
				hosts("c.io", "[host.\"https://a.io\"]\n"),
			},
			lost:  []string{`file 1: source "c.io" is left out`, `its mirror "a.io" is part of source "a.io", which another part of this conversion blocks`},
			comes: map[string]string{"a.io/x": "m.example/x", "b.io/x": "b.io/x", "c.io/x": "c.io/x"},
		},
		"a set that blocks": {
			beside: set,
			files:  []*mirrorfiles.Content{hosts("c.io", "[host.\"https://corp.example\"]\n")},
			lost:   []string{`file 0: source "c.io" is left out`, `its mirror "corp.example" is part of source "corp.example", which another part of this conversion blocks`},
			comes:  map[string]string{"c.io/x": "c.io/x"},
		},
		"a set for the same source": {
			beside: set,
			files:  []*mirrorfiles.Content{hosts("corp.example", "[host.\"https://n.example\"]\n")},
			lost:   []string{`file 0: source "corp.example" is left out`, `its images by digest would come from`, `"m.example/probe/image"`},
			comes:  map[string]string{"corp.example/x": "corp.example/x"},
		},
		"moved, with a port": { // CRI-O finds a host with any port
			files: []*mirrorfiles.Content{tables(t, "[[registry]]\nprefix = \"a.io\"\nlocation = \"m.example\"\n[[registry]]\nlocation = \"b.io\"\n[[registry.mirror]]\nlocation = \"a.io:5000/x\"\n")},
			lost:  []string{`file 0: source "a.io" is left out`, `the mirror "a.io:5000/x" of source "b.io"`},
			comes: map[string]string{"a.io/x": "a.io/x", "b.io/x": "a.io:5000/x/x b.io/x"},
		},
		"a port in k3s": {
			files: []*mirrorfiles.Content{k3sFile(t, `mirrors: {b.io: {endpoint: ["https://a.io:5000"]}, a.io: {endpoint: ["https://m.example"]}}`, true)},
			comes: map[string]string{"a.io/x": "m.example/x", "b.io/x": "a.io:5000/x"},
		},
		"moved, below a mirror": {
			files: []*mirrorfiles.Content{tables(t, "[[registry]]\nprefix = \"a.io/below\"\nlocation = \"m.example\"\n[[registry]]\nlocation = \"b.io\"\n[[registry.mirror]]\nlocation = \"a.io\"\n")},
			lost:  []string{`file 0: source "a.io/below" is left out`, `the mirror "a.io" of source "b.io"`},
			comes: map[string]string{"a.io/below/x": "a.io/below/x", "b.io/below/x": "a.io/below/x b.io/below/x"},
		},
		"moved, below a mirror that is not asked for it": {
			files: []*mirrorfiles.Content{tables(t, "[[registry]]\nprefix = \"a.io/below\"\nlocation = \"m.example\"\n[[registry]]\nlocation = \"b.io\"\n[[registry.mirror]]\nlocation = \"a.io\"\n[[registry]]\nlocation = \"b.io/below\"\n[[registry.mirror]]\nlocation = \"n.example\"\n")},
			comes: map[string]string{"a.io/below/x": "m.example/x", "b.io/below/x": "n.example/x b.io/below/x", "b.io/x": "a.io/x b.io/x"},
		},
		"left out below another source": {
			files: []*mirrorfiles.Content{tables(t, "[[registry]]\nlocation = \"a.io\"\n[[registry.mirror]]\nlocation = \"n.example\"\n[[registry]]\nprefix = \"a.io/below\"\nlocation = \"m.example\"\n[[registry]]\nlocation = \"b.io\"\n[[registry.mirror]]\nlocation = \"a.io/below\"\n")},
			lost:  []string{`file 0: source "a.io/below" is left out`},
			comes: map[string]string{"a.io/x": "n.example/x a.io/x", "a.io/below/x": "a.io/below/x", "b.io/x": "a.io/below/x b.io/x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			all := settled(tt.beside, tt.files...)
			if len(tt.lost) == 0 && len(all.Lost) > 0 || len(tt.lost) > 0 && len(all.Lost) != 1 {
				t.Fatalf("lost %q", all.Lost)
			}
			for _, part := range tt.lost {
				if !strings.Contains(all.Lost[0], part) {
					t.Errorf("lost %q, want %q", all.Lost, part)
				}
			}
			rules := rulesOf(all)
			for image, want := range tt.comes {
				for _, suffix := range []string{digest, ":1"} {
					if got := strings.Join(places(t, rules, image+suffix), " "); got != want {
						t.Errorf("%s%s comes from %q, want %q", image, suffix, got, want)
					}
				}
			}
		})
	}
}

// TestAnyRegistriesTogetherMeanTheSameOrAreLeftOut draws registries of k3s that are mirrors of each other.
func TestAnyRegistriesTogetherMeanTheSameOrAreLeftOut(t *testing.T) {
	hosts := []string{"a.io", "b.io", "c.io"}
	kept, leftOut := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		never := rapid.Bool().Draw(t, "never")
		asked := map[string][]string{}
		var files []*mirrorfiles.Content
		for _, host := range rapid.SliceOfNDistinct(rapid.SampledFrom(hosts), 1, 3, rapid.ID).Draw(t, "hosts") {
			endpoints := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"m.example", "a.io", "b.io", "c.io", "a.io/v2/x", "b.io/v2/y/z", "c.io/v2/x"}), 1, 3, rapid.ID).Draw(t, "endpoints")
			if at := slices.Index(endpoints, host); at >= 0 && at != len(endpoints)-1 {
				continue // it is left out by itself
			}
			asked[host] = endpoints
			files = append(files, k3sFile(t, fmt.Sprintf("mirrors: {%s: {endpoint: [%s]}}", host, strings.Join(endpoints, ", ")), never))
		}
		all := settled(nil, files...)
		rules := rulesOf(all)
		for _, host := range hosts {
			for _, path := range []string{"/p", "/x/p", "/y/z/p"} {
				want := []string{}
				isLeftOut := slices.ContainsFunc(all.Lost, func(lost string) bool { return strings.Contains(lost, fmt.Sprintf("source %q is left out", host)) })
				endpoints, ok := asked[host]
				if ok && !isLeftOut {
					for _, e := range endpoints {
						want = append(want, strings.Replace(e, "/v2", "", 1)+path)
					}
				}
				if self := host + path; !slices.Contains(want, self) && (!ok || !never || isLeftOut) {
					want = append(want, self)
				}
				for _, suffix := range []string{digest, ":1"} {
					if got := places(t, rules, host+path+suffix); !slices.Equal(got, want) {
						t.Fatalf("%s%s%s comes from %q, want %q, of %q; lost %q", host, path, suffix, got, want, asked, all.Lost)
					}
				}
				if isLeftOut {
					leftOut++
				} else {
					kept++
				}
			}
		}
	})
	if !t.Failed() && (kept == 0 || leftOut == 0) {
		t.Errorf("%d kept, %d left out", kept, leftOut)
	}
}

func TestOnlyWhatABroaderSourceHasIsCarvedOut(t *testing.T) {
	all := settled(nil, tables(t, "[[registry]]\nprefix = \"a.io/below\"\nlocation = \"m.example\"\n[[registry]]\nlocation = \"b.io\"\n[[registry.mirror]]\nlocation = \"a.io/below\"\n"),
		file(t, "imageDigestSources: [{source: a.io, mirrors: [n.example]}]", mirrorfiles.InstallConfig))
	var left []string
	for _, e := range all.Entries {
		left = append(left, fmt.Sprintf("%s by %s: %d", e.Source, e.Mode, len(e.Mirrors)))
	}
	if slices.Sort(left); !slices.Equal(left, []string{"a.io by digest: 1", "a.io/below by digest: 0", "b.io by digest: 1", "b.io by tag: 1"}) {
		t.Errorf("%q", left)
	}
}

func TestEntriesForOneSourceAreMergedAsOpenShiftDoes(t *testing.T) {
	content := settled(nil, file(t, "imageDigestSources: [{source: a.io, mirrors: [m.example]}, {source: a.io, mirrors: [n.example]}, {source: b.io, mirrors: [c.io]}, {source: c.io, mirrors: [m.example], sourcePolicy: NeverContactSource}]", mirrorfiles.InstallConfig))
	for image, want := range map[string][]string{"a.io/x": {"m.example/x", "n.example/x", "a.io/x"}, "b.io/x": {"b.io/x"}, "c.io/x": {"m.example/x"}} {
		if got := places(t, rulesOf(content), image+digest); !slices.Equal(got, want) {
			t.Errorf("%s comes from %q, want %q", image, got, want)
		}
	}
	if len(content.Lost) > 0 {
		t.Errorf("lost %q", content.Lost) // CRI-O pulls nothing from a blocked source, whoever names it
	}
}
