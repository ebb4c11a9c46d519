// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// byOtherName is a host that is the same registry.
func byOtherName(m *plugintest.Mirror) string {
	return strings.Replace(m.Host, "127.0.0.1", "localhost", 1)
}

// A mirror's tag is no proof that the source has the same, so what each has is shown, and where they differ that is said (T12).
func TestTagsAreResolvedAtTheirMirrors(t *testing.T) {
	plugintest.Isolate(t)
	first, second, empty, source := plugintest.NewMirror(t), plugintest.NewMirror(t), plugintest.NewMirror(t), plugintest.NewMirror(t)
	digests := map[*plugintest.Mirror]string{first: first.Push(t, "q/app"), second: second.Push(t, "q/app"), source: source.Push(t, "app")}
	all := []string{first.Host, byOtherName(first), second.Host, empty.Host, source.Host, "127.0.0.1:1"}
	image := source.Host + "/app:latest"
	tags := func(mirrors ...string) string { return plugintest.TagSet("a", source.Host, mirrors...) }
	never := func(manifest string) string { return manifest + "    mirrorSourcePolicy: NeverContactSource\n" }
	unsure := func(at, has, other, why string) string {
		return "warning: TagDiffers: itms/a: image " + image + ": " + at + " has " + has + ", but " + other +
			"; the image that a pull gets is unknown, because an earlier place may have the tag: " + why + "\n"
	}
	const gone = "127.0.0.1:1"
	differs := func(at, has string, others ...string) string {
		return "warning: TagDiffers: itms/a: image " + image + ": the first place that has the tag, " + at + ", has " + has + ", but " + strings.Join(others, ", and ") + "\n"
	}
	const app = "/q/app:latest"
	for _, tt := range []struct {
		name, manifest string
		source         bool
		want           string
		code           int
		warning        string
	}{
		{"one has it", tags(first.Host + "/q"), false, "OK NotAsked => Mirror", 0, ""},
		{"none has it", tags(empty.Host + "/q"), false, "Missing NotAsked => Source", 1, ""},
		{"two have the same", tags(first.Host+"/q", byOtherName(first)+"/q"), false, "OK OK NotAsked => Mirror", 0, ""},
		{"two differ", tags(first.Host+"/q", second.Host+"/q"), false, "OK OK NotAsked => Mirror", 0,
			differs(first.Host+app, digests[first], second.Host+app+" has "+digests[second])},
		{"the source differs", tags(empty.Host+"/q", first.Host+"/q"), true, "Missing OK OK => Mirror", 0, differs(first.Host+app, digests[first], image+" has "+digests[source])},
		{"all differ", tags(first.Host+"/q", second.Host+"/q"), true, "OK OK OK => Mirror", 0,
			differs(first.Host+app, digests[first], second.Host+app+" has "+digests[second], image+" has "+digests[source])},
		{"the source alone has it", tags(empty.Host + "/q"), true, "Missing OK => Source", 1, ""},
		{"the source comes first", tags(source.Host, first.Host+"/q"), true, "OK OK OK => Source", 1, differs(image, digests[source], first.Host+app+" has "+digests[first])},
		{"the source comes first, and two differ", tags(source.Host, first.Host+"/q", second.Host+"/q"), true, "OK OK OK OK => Source", 1,
			differs(image, digests[source], first.Host+app+" has "+digests[first], second.Host+app+" has "+digests[second])},
		{"the source stands between, and is named once", tags(first.Host+"/q", source.Host, byOtherName(first)+"/q"), true, "OK OK OK OK => Mirror", 0,
			differs(first.Host+app, digests[first], image+" has "+digests[source])},
		{"the first does not answer", tags(gone+"/q", first.Host+"/q", second.Host+"/q"), false, "Error OK OK NotAsked => Mirror", 0,
			unsure(first.Host+app, digests[first], second.Host+app+" has "+digests[second], gone+app+" did not answer")},
		{"the source comes first and is not asked", tags(source.Host, first.Host+"/q", second.Host+"/q"), false, "NotAsked OK OK NotAsked => Source", 1,
			unsure(first.Host+app, digests[first], second.Host+app+" has "+digests[second], image+" was not contacted")},
		{"a later one does not answer", tags(first.Host+"/q", gone+"/q", second.Host+"/q"), false, "OK Error OK NotAsked => Mirror", 0,
			differs(first.Host+app, digests[first], second.Host+app+" has "+digests[second])},
		{"mirrors for digests do not count", plugintest.Set("a", source.Host, first.Host+"/q"), true, "OK => Source", 1, ""},
		{"the source is blocked", never(tags(first.Host + "/q")), true, "OK => Mirror", 0, ""},
		{"the source is blocked, and no mirror has it", never(tags(empty.Host + "/q")), true, "Missing => Nowhere", 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			source.Asked.Store(0)
			args := []string{"check", "-f", "-", "-o", "json", image}
			for _, host := range all {
				args = append(args, "--insecure-registry", host)
			}
			if tt.source {
				args = append(args, "--source")
			}
			r := run(t, tt.manifest, args...)
			got := decode(t, r.Stdout)
			if summary := got.summary(); summary != tt.want || r.Code != tt.code || got.TagDiffers != (tt.warning != "") {
				t.Errorf("%q, exit code %d, differs %t; want %q, %d", summary, r.Code, got.TagDiffers, tt.want, tt.code)
			}
			for _, p := range got.Places {
				if has := p.Digest != ""; has != (p.Result == "OK") {
					t.Errorf("%s: %s has %q", p.Location, p.Result, p.Digest)
				}
			}
			var warnings string
			for line := range strings.Lines(r.Stderr) {
				if strings.HasPrefix(line, "warning: TagDiffers") {
					warnings += line
				}
			}
			if warnings != tt.warning {
				t.Errorf("warnings %q, want %q", warnings, tt.warning)
			}
			if asked := source.Asked.Load() > 0; asked != (tt.source && !strings.Contains(tt.name, "blocked")) {
				t.Errorf("the source was asked: %t", asked)
			}
		})
	}
}

func TestASourceThatIsAskedAndHasItNotIsNowhere(t *testing.T) {
	plugintest.Isolate(t)
	empty, source := plugintest.NewMirror(t), plugintest.NewMirror(t)
	image := source.Host + "/app@sha256:" + strings.Repeat("f", 64)
	r := run(t, plugintest.Set("a", source.Host, empty.Host), "check", "-f", "-", "-o", "json", "--source", "--insecure-registry", source.Host, "--insecure-registry", empty.Host, image)
	if got := decode(t, r.Stdout); got.summary() != "Missing Missing => Nowhere" || r.Code != 1 {
		t.Errorf("%q, exit code %d", got.summary(), r.Code)
	}
}

// The digest of an image by digest stands in its name.
func TestADigestIsToldOfTagsOnly(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	r := run(t, plugintest.Set("a", "quay.io", m.Host+"/q"), "check", "-f", "-", "-o", "json", "--insecure-registry", m.Host, "quay.io/app@"+m.Push(t, "q/app"))
	if got := decode(t, r.Stdout); got.summary() != "OK NotAsked => Mirror" || strings.Contains(r.Stdout, `"digest"`) {
		t.Errorf("exit code %d:\n%s", r.Code, r.Stdout)
	}
}

func TestAWideTableHasWhatATagNames(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	digest := m.Push(t, "q/app")
	missing := "quay.io/app@sha256:" + strings.Repeat("f", 64)
	r := run(t, plugintest.TagSet("a", "quay.io", m.Host+"/q"), "check", "-f", "-", "-o", "wide", "--insecure-registry", m.Host, "quay.io/app", missing)
	want := "IMAGE|PULL SOURCE|RESULT|DIGEST|MESSAGE\nquay.io/app:latest|" + m.Host + "/q/app:latest|OK|" + digest + "|<none>\nquay.io/app:latest|quay.io/app:latest|NotAsked|<none>|<none>\n" +
		missing + "|" + missing + "|NotAsked|<none>|<none>\n"
	if got := columns(r.Stdout); got != want {
		t.Errorf("stdout:\n%s\nwant:\n%s", got, want)
	}
}

// A set about tags refuses digests of a source that it blocks, which is told to those who ask for one.
func TestAPullThatASetOfTheOtherKindBlocksIsTold(t *testing.T) {
	manifest := plugintest.TagSet("a", "quay.io", "m.local/q") + "    mirrorSourcePolicy: NeverContactSource\n"
	const warning = "warning: BlocksDigestPulls: itms/a: spec.imageTagMirrors[0]: "
	r := run(t, manifest, "check", "-f", "-", "quay.io/app@sha256:"+strings.Repeat("f", 64))
	if r.Code != 1 || !strings.HasPrefix(r.Stderr, warning) {
		t.Errorf("exit code %d, stderr %q", r.Code, r.Stderr)
	}
	if r = run(t, manifest, "check", "-f", "-", "--registry-timeout=1ms", "quay.io/app:v1"); strings.Contains(r.Stderr, "Blocks") {
		t.Errorf("stderr %q", r.Stderr)
	}
}
