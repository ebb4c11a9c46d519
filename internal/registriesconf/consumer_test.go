// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf_test

import (
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
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// digest ends a reference by digest.
const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// logger is what failures are told to, a test or a draw of a property.
type logger interface {
	Helper()
	Fatalf(format string, args ...any)
}

// consumer is the library that CRI-O, Podman and Buildah read registries.conf with, and one file for it to read.
type consumer struct {
	context *types.SystemContext
}

func newConsumer(t testing.TB) consumer {
	dir := t.TempDir()
	dropIns := filepath.Join(dir, "registries.conf.d")
	if err := os.Mkdir(dropIns, 0o700); err != nil {
		t.Fatal(err)
	}
	return consumer{&types.SystemContext{
		SystemRegistriesConfPath:    filepath.Join(dir, "registries.conf"),
		SystemRegistriesConfDirPath: dropIns,
	}}
}

// load makes the consumer read the text.
func (c consumer) load(text []byte) error {
	if err := os.WriteFile(c.context.SystemRegistriesConfPath, text, 0o600); err != nil {
		return err
	}
	sysregistriesv2.InvalidateCache()
	_, err := sysregistriesv2.TryUpdatingCache(c.context)
	return err
}

// answer is where an image is pulled from, in a form that both sides can be brought to.
type answer struct {
	Prefix  string // the source that decides; "" where none does
	Blocked bool
	Fails   bool // the whole pull fails, because a mirror makes no valid reference
	Tried   []place
}

type place struct {
	Location string
	Insecure bool
}

func (a answer) equal(b answer) bool {
	return a.Prefix == b.Prefix && a.Blocked == b.Blocked && a.Fails == b.Fails && slices.Equal(a.Tried, b.Tried)
}

// resolve answers as the consumer does when it pulls: docker_image_src.go asks for the pull sources, and
// docker_client.go refuses each whose own registry is blocked.
func (c consumer) resolve(t logger, ref mirrors.Reference) answer {
	t.Helper()
	named, err := reference.ParseNamed(ref.String())
	if err != nil {
		t.Fatalf("reference %s: %v", ref, err)
	}
	registry := c.find(t, named)
	if registry == nil {
		return answer{Tried: []place{{Location: named.String()}}}
	}
	got := answer{Prefix: registry.Prefix, Blocked: registry.Blocked}
	sources, err := registry.PullSourcesFromReference(named)
	if err != nil {
		got.Fails = true
		return got
	}
	for _, s := range sources {
		if r := c.find(t, s.Reference); r == nil || !r.Blocked {
			got.Tried = append(got.Tried, place{s.Reference.String(), s.Endpoint.Insecure})
		}
	}
	return got
}

func (c consumer) find(t logger, named reference.Named) *sysregistriesv2.Registry {
	t.Helper()
	registry, err := sysregistriesv2.FindRegistry(c.context, named.Name())
	if err != nil {
		t.Fatalf("%v", err)
	}
	return registry
}

// ours answers as our own longest match does.
func ours(rules []mirrors.Rule, ref mirrors.Reference) answer {
	return answerOf(mirrors.NewIndex(rules).Resolve(ref))
}

// readers answers as we say that the consumer does.
func readers(rules []mirrors.Rule, ref mirrors.Reference) answer {
	return answerOf(mirrors.NewIndex(rules).ResolveByReaders(ref))
}

func answerOf(res mirrors.Resolution) answer {
	got := answer{Blocked: res.Blocked, Fails: res.Fails != ""}
	if res.Rule != nil {
		got.Prefix = string(res.Rule.Source)
	}
	for _, s := range res.PullSources {
		got.Tried = append(got.Tried, place{s.Location, s.Insecure})
	}
	return got
}

// encode merges sets in the notation of mirrorstest, writes the rules and has the consumer read them.
func (c consumer) encode(t *testing.T, text string) mirrors.Result {
	t.Helper()
	sets, err := mirrorstest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	result := kinds.Merge(sets, nil)
	data, err := registriesconf.Encode(result.Rules)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.load(data); err != nil {
		t.Fatalf("the consumer refuses our text: %v\n%s", err, data)
	}
	return result
}

// parse reads an image, which may be written with @d for a digest.
func parse(t logger, image string) mirrors.Reference {
	t.Helper()
	if name, ok := strings.CutSuffix(image, "@d"); ok {
		image = name + digest
	}
	ref, err := mirrors.ParseReference(image)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return ref
}

// withoutProvenance is what a rule is after a way through the text.
func withoutProvenance(rules []mirrors.Rule) []mirrors.Rule {
	bare := make([]mirrors.Rule, len(rules))
	for i, rule := range rules {
		rule.From, rule.BlockedBy, rule.Inherited, rule.Mirrors = nil, nil, nil, slices.Clone(rule.Mirrors)
		for j := range rule.Mirrors {
			rule.Mirrors[j].From = nil
		}
		bare[i] = rule
	}
	return bare
}
