// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/plugin"
	"github.com/mirrorset/mirrorset/test/conformance"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func load(t *testing.T) []conformance.Case {
	t.Helper()
	cases, err := conformance.Load()
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// run executes the plugin in this process, over the sets of a case. It fails where an API server refuses one of them.
func run(t *testing.T, c *conformance.Case, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	manifests, err := c.Manifests()
	if err != nil {
		t.Fatal(err)
	}
	args = append(args, "-f", "-")
	for _, scope := range c.Insecure {
		args = append(args, "--insecure-registry", scope)
	}
	var out, errors bytes.Buffer
	cmd := plugin.NewCommand()
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(manifests))
	cmd.SetOut(&out)
	cmd.SetErr(&errors)
	err = cmd.Execute()
	return out.String(), errors.String(), err
}

// explain returns the places that explain names for an image. Of sets that an API server refuses, it says so, and the places are those of
// the manager's rules: these sets are there where the CRD is older, or relaxed (E1).
func explain(t *testing.T, c *conformance.Case, image string) (places []string, blocked bool, warnings string) {
	t.Helper()
	stdout, stderr, err := run(t, c, "explain", image, "-o", "json")
	if err != nil {
		if !c.Refused || !strings.Contains(stderr, "refused: ") {
			t.Fatalf("explain: %v\n%s", err, stderr)
		}
		return byRules(t, c, image)
	}
	if c.Refused {
		t.Errorf("an API server refuses the sets, and explain does not:\n%s", stderr)
	}
	var explained struct {
		Blocked     bool
		PullSources []struct{ Location string }
	}
	if err := json.Unmarshal([]byte(stdout), &explained); err != nil {
		t.Fatal(err)
	}
	places = []string{}
	for _, source := range explained.PullSources {
		places = append(places, repository(t, source.Location))
	}
	return places, explained.Blocked, stderr
}

// byRules returns the same from the rules.
func byRules(t *testing.T, c *conformance.Case, image string) (places []string, blocked bool, warnings string) {
	t.Helper()
	rules, err := c.Rules()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := mirrors.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	index := mirrors.NewIndex(rules)
	res := index.Resolve(ref)
	if res.Differs(index.ResolveByReaders(ref)) {
		warnings = "RuntimesDiffer"
	}
	places = []string{}
	for _, source := range res.PullSources {
		places = append(places, repository(t, source.Location))
	}
	return places, res.Rule != nil && res.Rule.Blocked, warnings
}

// repository returns a full reference without what names the image in it.
func repository(t *testing.T, image string) string {
	t.Helper()
	named, err := reference.ParseNamed(image)
	if err != nil {
		t.Fatal(err)
	}
	return named.Name()
}

func TestExplainAgrees(t *testing.T) {
	for _, c := range load(t) {
		t.Run(c.Name, func(t *testing.T) {
			got, blocked, warnings := explain(t, &c, c.Reference(digest))
			if !slices.Equal(got, c.Pull) {
				t.Errorf("%s\nexplain %q\nwant    %q", c.Description, got, c.Pull)
			}
			if len(got) == 0 && !blocked {
				t.Error("the pull is refused, but the source is not blocked")
			}
			if warns := strings.Contains(warnings, "RuntimesDiffer"); warns != (c.CRIO != nil) {
				t.Errorf("that CRI-O and Podman differ is said: %v; they do: %v\n%s", warns, c.CRIO != nil, warnings)
			}
			if c.ByDigest() || len(c.Pull) == 0 {
				return
			}
			content := c.Content
			if content == nil {
				content = c.Pull
			}
			name, err := c.Repository()
			if err != nil {
				t.Fatal(err)
			}
			if got, _, _ := explain(t, &c, name+"@"+digest); !slices.Equal(got, content) {
				t.Errorf("%s\nexplain %q for what the tag names\nwant    %q", c.Description, got, content)
			}
		})
	}
}

// consumer is the library that CRI-O, Podman and Buildah read registries.conf with, over one text.
type consumer struct {
	context *types.SystemContext
}

func newConsumer(t *testing.T, text string) consumer {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "registries.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := consumer{&types.SystemContext{SystemRegistriesConfPath: file, SystemRegistriesConfDirPath: filepath.Join(folder, "none")}}
	if _, err := sysregistriesv2.TryUpdatingCache(c.context); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// places answers as the consumer does when it pulls: it asks for the pull sources, and then refuses each whose own registry
// is blocked.
func (c consumer) places(t *testing.T, image string) (places []string, fails bool) {
	t.Helper()
	named, err := reference.ParseDockerRef(image)
	if err != nil {
		t.Fatal(err)
	}
	registry := c.find(t, named)
	if registry == nil {
		return []string{named.Name()}, false
	}
	sources, err := registry.PullSourcesFromReference(named)
	if err != nil {
		return []string{}, true
	}
	places = []string{}
	for _, source := range sources {
		if by := c.find(t, source.Reference); by == nil || !by.Blocked {
			places = append(places, source.Reference.Name())
		}
	}
	return places, false
}

func (c consumer) find(t *testing.T, named reference.Named) *sysregistriesv2.Registry {
	t.Helper()
	registry, err := sysregistriesv2.FindRegistry(c.context, named.Name())
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

func TestTheLibraryOfCRIOAndPodmanAgrees(t *testing.T) {
	for _, c := range load(t) {
		t.Run(c.Name, func(t *testing.T) {
			text, err := c.Text()
			if err != nil {
				t.Fatal(err)
			}
			want, fails := c.Pull, false
			if c.CRIO != nil {
				want, fails = c.CRIO.Pull, c.CRIO.Fails
			}
			got, failed := newConsumer(t, text).places(t, c.Reference(digest))
			if failed != fails || !slices.Equal(got, want) {
				t.Errorf("%s\nthe library %q, fails: %v\nwant        %q, fails: %v\n%s", c.Description, got, failed, want, fails, text)
			}
		})
	}
}

func TestACaseThatSaysLessThanItsAuthorThinksIsRefused(t *testing.T) {
	const good = "description: A sentence.\nsets: |\n  a: quay.io -> mirror.example.com\nimage: quay.io/x@digest\npull: [mirror.example.com/x, quay.io/x]\n"
	const tag = "description: A sentence.\nsets: ''\nimage: quay.io/x:1\npull: [quay.io/x]\n"
	for _, text := range []string{good, tag, good + "crio: {quirk: Q1, why: because, pull: []}\n", good + "crio: {quirk: Q3, why: because, fails: true}\n", tag + "content: [m.com/x, quay.io/x]\n"} {
		if _, err := conformance.Parse([]byte(text)); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}
	for name, text := range map[string]string{
		"unknown field":             good + "pulls: []\n",
		"field twice":               good + "image: quay.io/y@digest\n",
		"unknown runtime":           good + "podman: {quirk: Q1, why: because, pull: []}\n",
		"no pull":                   strings.Split(good, "pull:")[0],
		"no sentence":               strings.Replace(good, "sentence.", "word", 1),
		"real digest":               strings.Replace(good, "@digest", "@"+digest, 1),
		"short name":                strings.Replace(good, ", quay.io/x]", ", x]", 1),
		"place with a tag":          strings.Replace(good, ", quay.io/x]", ", 'quay.io/x:1']", 1),
		"odd sets":                  strings.Replace(good, " -> ", " => ", 1),
		"odd scope":                 good + "insecure: ['https://quay.io']\n",
		"content by digest":         good + "content: [quay.io/x]\n",
		"content as pull":           tag + "content: [quay.io/x]\n",
		"deviation without a quirk": good + "crio: {why: because, pull: []}\n",
		"unknown quirk":             good + "crio: {quirk: Q7, why: because, pull: []}\n",
		"deviation without reason":  good + "crio: {quirk: Q1, pull: []}\n",
		"deviation without pull":    good + "containerd: {quirk: N4, why: because}\n",
		"deviation that is none":    good + "containerd: {quirk: N4, why: because, pull: [mirror.example.com/x, quay.io/x]}\n",
		"fails and pulls":           good + "crio: {quirk: Q3, why: because, fails: true, pull: []}\n",
	} {
		if _, err := conformance.Parse([]byte(text)); err == nil {
			t.Errorf("%s is not refused:\n%s", name, text)
		}
	}
}

func TestThereAreCasesForEveryRule(t *testing.T) {
	cases := load(t)
	if len(cases) < 300 {
		t.Errorf("%d cases, want 300 at least", len(cases))
	}
	rules := []string{"E1", "E1a", "E2", "E3", "E4", "E5", "M1", "M2", "M3", "M4", "M5", "L1", "L2", "L2a", "L3", "L4", "Q1", "Q2", "Q3", "Q4", "Q5", "N4", "N5", "T1", "T2", "T3", "T4", "T5", "T7", "T9", "T10", "T11"}
	for _, c := range cases {
		rules = slices.DeleteFunc(rules, func(rule string) bool {
			return strings.Contains(c.Description, "("+rule+")") || strings.Contains(c.Description, "("+rule+",") || strings.Contains(c.Description, ", "+rule+")")
		})
	}
	if len(rules) > 0 {
		t.Errorf("no case for %q", rules)
	}
}

// TestWhatIsRememberedOfACaseCountsInNoOther holds the cases with sets for tags to a repository each, because the redirector remembers by
// repository where it found a tag (T10).
func TestWhatIsRememberedOfACaseCountsInNoOther(t *testing.T) {
	of, byTag := map[string]string{}, map[string]bool{}
	for _, c := range load(t) {
		name, err := c.Repository()
		if err != nil {
			t.Fatal(err)
		}
		sets, err := mirrorstest.Parse(c.Sets)
		if err != nil {
			t.Fatal(err)
		}
		tags := slices.ContainsFunc(sets, func(s kinds.Set) bool { return s.Kind == kinds.Tag })
		if other, is := of[name]; is && (tags || byTag[name]) {
			t.Errorf("%s and %s are about %s", c.Name, other, name)
		}
		of[name], byTag[name] = c.Name, tags
	}
}
