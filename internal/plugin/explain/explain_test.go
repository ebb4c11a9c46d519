// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// explained is the JSON that explain has always promised.
type explained struct {
	Image       string            `json:"image"`
	Source      string            `json:"source"`
	Blocked     bool              `json:"blocked"`
	PullSources []explainedSource `json:"pullSources"`
}

type explainedSource struct {
	Location string   `json:"location"`
	From     []string `json:"from"`
}

func explainJSON(t *testing.T, manifests, image string) explained {
	t.Helper()
	out := run(t, manifests, "explain", image, "-f", "-", "-o", "json").MustSucceed(t).Stdout
	var e explained
	if err := json.Unmarshal([]byte(out), &e); err != nil {
		t.Fatalf("%v in:\n%s", err, out)
	}
	if strings.Contains(out, "null") {
		t.Errorf("lists are never null, but:\n%s", out)
	}
	return e
}

// by returns the pull source that the named sets brought; none stands for the image reference itself.
func by(location string, sets ...string) explainedSource {
	return explainedSource{Location: location, From: append([]string{}, sets...)}
}

// The worked cases of docs/reference/semantics.md, section 6.
var (
	nested  = plugintest.Documents(plugintest.Set("a", "quay.io", "m1.local/q"), plugintest.Set("b", "quay.io/libpod", "m2.local/l"))
	merged  = plugintest.Documents(plugintest.Set("a", "s.com", "a.local", "b.local", "c.local"), plugintest.Set("b", "s.com", "c.local", "d.local", "e.local"))
	closed  = plugintest.Never("a", "s.com", "m.local/s")
	carved  = plugintest.Documents(plugintest.Set("a", "s.com", "m.local/s"), plugintest.Set("b", "s.com/free"))
	star    = plugintest.Set("a", "*.redhat.io", "mirror.local/redhat")
	between = plugintest.Set("a", "s.com", "m1.local", "s.com", "m2.local")
)

func TestWorkedCasesOfTheContractAreExplained(t *testing.T) {
	for _, tt := range []struct {
		name, manifests, image, source string
		blocked                        bool
		want                           []explainedSource
	}{
		{"the namespace wins over its registry", nested, "quay.io/libpod/busybox" + digest, "quay.io/libpod", false,
			[]explainedSource{by("m2.local/l/busybox"+digest, "b"), by("quay.io/libpod/busybox" + digest)}},
		{"the registry serves what the namespace does not", nested, "quay.io/other/x" + digest, "quay.io", false,
			[]explainedSource{by("m1.local/q/other/x"+digest, "a"), by("quay.io/other/x" + digest)}},
		{"lists of one source merge in order", merged, "s.com/x" + digest, "s.com", false,
			[]explainedSource{by("a.local/x"+digest, "a"), by("b.local/x"+digest, "a"), by("c.local/x"+digest, "a", "b"),
				by("d.local/x"+digest, "b"), by("e.local/x"+digest, "b"), by("s.com/x" + digest)}},
		{"a blocked source is not tried", closed, "s.com/x" + digest, "s.com", true,
			[]explainedSource{by("m.local/s/x"+digest, "a")}},
		{"a blocked source refuses a tag", closed, "s.com/x:1", "s.com", true, []explainedSource{}},
		{"a carve-out goes to the source", carved, "s.com/free/x" + digest, "s.com/free", false,
			[]explainedSource{by("s.com/free/x" + digest)}},
		{"a wildcard replaces the host", star, "registry.redhat.io/product/repo" + digest, "*.redhat.io", false,
			[]explainedSource{by("mirror.local/redhat/product/repo"+digest, "a"), by("registry.redhat.io/product/repo" + digest)}},
		{"the source between mirrors stays there", between, "s.com/x" + digest, "s.com", false,
			[]explainedSource{by("m1.local/x"+digest, "a"), by("s.com/x"+digest, "a"), by("m2.local/x"+digest, "a"), by("s.com/x" + digest)}},

		// Beyond the table.
		{"a component matches whole", nested, "quay.io/libpods/x" + digest, "quay.io", false,
			[]explainedSource{by("m1.local/q/libpods/x"+digest, "a"), by("quay.io/libpods/x" + digest)}},
		{"a wildcard does not match its own domain", star, "redhat.io/x" + digest, "", false, []explainedSource{by("redhat.io/x" + digest)}},
		{"a tag beside a digest plays no part", closed, "s.com/x:1" + digest, "s.com", true, []explainedSource{by("m.local/s/x"+digest, "a")}},
		{"a tag goes to the source", merged, "s.com/x:1", "s.com", false, []explainedSource{by("s.com/x:1")}},
		{"an image without a tag is the latest", merged, "s.com/x", "s.com", false, []explainedSource{by("s.com/x:latest")}},
		{"a short name is one of docker.io", plugintest.Set("a", "docker.io/library", "m.local/hub"), "alpine" + digest, "docker.io/library", false,
			[]explainedSource{by("m.local/hub/alpine"+digest, "a"), by("docker.io/library/alpine" + digest)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := explained{Image: tt.image, Source: tt.source, Blocked: tt.blocked, PullSources: tt.want}
			if got := explainJSON(t, tt.manifests, tt.image); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestExplainWarnsAboutTheDecidingSourceOnly(t *testing.T) {
	manifests := plugintest.Documents(plugintest.Never("a", "s.com", "m.local/s"), plugintest.Set("b", "*.t.com", "m.local/t"))
	for _, tt := range []struct {
		name, image, want string
	}{
		{"the blocked one", "s.com/x:1", "warning: BlocksTagPulls: a: spec.imageDigestMirrors[0]: source \"s.com\""},
		{"the wildcard by tag, which no entry is about", "x.t.com/x:1", ""},
		{"the blocked one by digest", "s.com/x@sha256:" + strings.Repeat("f", 64), ""},
		{"the wildcard", "x.t.com/x@sha256:" + strings.Repeat("f", 64), "warning: WildcardCollapse: b: spec.imageDigestMirrors[0]: images"},
		{"none", "u.com/x:1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t, manifests, "explain", tt.image, "-f", "-").MustSucceed(t).Stderr
			lines := strings.Count(got, "\n")
			if !strings.HasPrefix(got, tt.want) || (tt.want == "") != (lines == 0) || lines > 1 {
				t.Errorf("stderr %q, want one line %q or nothing", got, tt.want)
			}
		})
	}
}

func TestExplainSaysWhereRuntimesDiffer(t *testing.T) {
	manifest := plugintest.Documents(plugintest.Set("a", "example.com", "m.example.org"), plugintest.Never("b", "*.example.net", "m.example.org"),
		plugintest.Set("c", "example.com:6000", "m.example.org"), plugintest.Never("d", "example.io", "example.io:5000/m"), plugintest.Set("e", "example.de", "m.example.org/e"))
	const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for image, want := range map[string]string{
		"example.com:5000/x" + digest:          `a: image example.com:5000/x` + digest + `: CRI-O and Podman use source "example.com" and pull it from m.example.org:5000/x`,
		"example.com:5000/x:1":                 "",
		"a.example.net:5000/x:1":               `b: image a.example.net:5000/x:1: CRI-O and Podman use source "*.example.net" and refuse it`,
		"a.example.net.example.net/x" + digest: `CRI-O and Podman use no source and pull it from a.example.net.example.net/x`,
		"example.com:6000/x" + digest:          "",
		"example.com/x" + digest:               "",
		"example.io/x" + digest:                `d: image example.io/x` + digest + `: CRI-O and Podman use source "example.io" and refuse it`,
		"example.de:5000/x" + digest:           `CRI-O and Podman use source "example.de" and fail to pull it, because mirror "m.example.org/e" turns it into`,
	} {
		r := run(t, manifest, "explain", image, "-f", "-", "-o", "json").MustSucceed(t)
		if got := strings.Contains(r.Stderr, "RuntimesDiffer"); got != (want != "") || !strings.Contains(r.Stderr, want) {
			t.Errorf("%s: want %q in %q", image, want, r.Stderr)
		}
	}
}

func TestExplainSaysWhichEntriesCannotDecide(t *testing.T) {
	manifest := plugintest.Documents(plugintest.Never("a", "index.docker.io/x", "m.example.org/x"), plugintest.Set("c", "quay.io", "mirror"))
	const invalidMirror = "InvalidMirror: c: spec.imageDigestMirrors[0]: "
	both := []string{"UnmatchableSource: a: spec.imageDigestMirrors[0]: "} // it was to be blocked, for both
	for image, wanted := range map[string][]string{"quay.io/x@sha256:" + strings.Repeat("f", 64): append(both, invalidMirror), "quay.io/x:1": both} {
		r := run(t, manifest, "explain", image, "-f", "-").MustSucceed(t)
		for _, want := range wanted {
			if !strings.Contains(r.Stderr, "warning: "+want) {
				t.Errorf("%s: want %q in %q", image, want, r.Stderr)
			}
		}
		if strings.Contains(image, ":1") && strings.Contains(r.Stderr, invalidMirror) {
			t.Errorf("%s: what is found of digests is shown for a tag: %q", image, r.Stderr)
		}
	}
}

// A namespace of Docker Hub is said only of the official image that may have been meant, and --strict takes it as it is.
func TestExplainSaysWhichImageANamespaceOfDockerHubIsNot(t *testing.T) {
	manifest := plugintest.Documents(plugintest.Never("a", "docker.io/redis", "m.example.org/redis"), plugintest.Set("b", "docker.io", "m.example.org/hub"))
	const note = "note: DockerHubNamespace: a: spec.imageDigestMirrors[0]: source \"docker.io/redis\" never matches the official image, whose full name is \"docker.io/library/redis\"; use that as the source, unless you mean the images below \"docker.io/redis\"\n"
	for image, want := range map[string]string{"redis:8": note, "docker.io/library/redis@sha256:" + strings.Repeat("f", 64): note, "docker.io/redis/redis-stack@sha256:" + strings.Repeat("f", 64): "", "alpine": ""} {
		if got := run(t, manifest, "explain", image, "-f", "-", "--strict").MustSucceed(t).Stderr; got != want {
			t.Errorf("%s: %q, want %q", image, got, want)
		}
	}
}

// Images may be written as other tools do.
func TestExplainTakesImagesOfOtherTools(t *testing.T) {
	manifest := plugintest.Set("a", "quay.io", "m.local/q")
	want := run(t, manifest, "explain", "quay.io/x:1", "-f", "-").MustSucceed(t).Stdout
	for _, image := range []string{"docker://quay.io/x:1", "quay.io/x:1=m.local/other:1"} {
		if got := run(t, manifest, "explain", image, "-f", "-").MustSucceed(t).Stdout; got != want {
			t.Errorf("%s: stdout:\n%s\nwant:\n%s", image, got, want)
		}
	}
}

// What is odd about the mirrors that a source inherits is found where they are from (T4), and concerns its images all the same.
func TestExplainSaysWhatIsOddAboutInheritedMirrors(t *testing.T) {
	manifest := plugintest.Documents(plugintest.TagSet("a", "s.com", "a.local", "b.local"), plugintest.TagSet("b", "s.com", "b.local", "a.local"),
		plugintest.Set("c", "s.com", "c.local", "d.local"), plugintest.Set("d", "s.com", "d.local", "c.local"), plugintest.Set("e", "s.com/x", "e.local/x"))
	r := run(t, manifest, "explain", "s.com/x/y:1", "-f", "-").MustSucceed(t)
	if !strings.HasPrefix(r.Stderr, "warning: OrderConflict: itms/a, itms/b: the mirror lists for source \"s.com\"") || strings.Count(r.Stderr, "\n") != 1 {
		t.Errorf("stderr %q", r.Stderr)
	}
	for _, want := range []string{
		"Broader: s.com (itms/a[0], itms/b[0]) supplies the mirrors for tags, because no effective entry for s.com/x covers tags\n",
		"Unused:  s.com (c[0], d[0]) also matches, but is less specific\n",
	} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("want %q in\n%s", want, r.Stdout)
		}
	}
}

// What is found of a source that inherits the same as this one's is not about this one.
func TestFindingsOfSiblingsAreNotShown(t *testing.T) {
	manifest := plugintest.Documents(plugintest.Set("d", "s.com/a", "d.local")+"  - source: s.com/b\n    mirrors: [d.local]\n", strings.Replace(plugintest.Never("t", "s.com", "t.local"), "ImageDigest", "ImageTag", 1))
	manifest = strings.Replace(manifest, "imageDigestMirrors:\n  - source: 's.com'", "imageTagMirrors:\n  - source: 's.com'", 1)
	r := run(t, manifest, "explain", "s.com/a/x:1", "-f", "-").MustSucceed(t)
	if strings.Count(r.Stderr, "PolicyConflict") != 1 || !strings.Contains(r.Stderr, `source "s.com/a" is blocked`) {
		t.Errorf("stderr %q", r.Stderr)
	}
}

// One answer shows what a tag has and what a digest has.
func TestExplainShowsTheOtherModeToo(t *testing.T) {
	tags, digests := plugintest.TagSet("a", "s.com", "t.local"), plugintest.Set("b", "s.com/x", "d.local/x", "e.local/x")
	never := digests + "    mirrorSourcePolicy: NeverContactSource\n"
	const refused = "Tags:    refused, because no set names a usable mirror for tags\n"
	for _, c := range []struct{ manifest, image, want string }{
		{plugintest.Documents(tags, digests), "s.com/x/y:1", "Digests: d.local/x/y (b[0]), then e.local/x/y (b[0]), then the source\n"},
		{plugintest.Documents(tags, digests), "s.com/x/y" + digest, "Tags:    t.local/x/y (itms/a[0]), then the source\n"},
		{never, "s.com/x/y:1", "Digests: d.local/x/y (b[0]), then e.local/x/y (b[0])\n"},
		{never, "s.com/x/y" + digest, refused},
		{plugintest.Documents(never, plugintest.TagSet("a", "s.com/x", "blocked.invalid")), "s.com/x/y" + digest, refused},
		{digests, "s.com/x/y" + digest, ""},
		{tags, "t.com/x", ""},
	} {
		out := run(t, c.manifest, "explain", c.image, "-f", "-").MustSucceed(t).Stdout
		if got := strings.Contains(out, "\nDigests: ") || strings.Contains(out, "\nTags: "); !strings.Contains(out, c.want) || got != (c.want != "") {
			t.Errorf("%s: want %q in\n%s", c.image, c.want, out)
		}
	}
}

// Nothing compares what a mirror has by a tag (T12), which is worth a word only where a mirror is used.
func TestWhoIsTrustedWithATagIsTold(t *testing.T) {
	manifest := plugintest.Documents(plugintest.TagSet("a", "s.com", "m.local"), plugintest.TagSet("c", "t.com", "u.com/t"), plugintest.Never("b", "u.com", "m.local"))
	for image, want := range map[string]bool{"s.com/x:1": true, "s.com/x" + digest: false, "t.com/x:1": false, "v.com/x:1": false} {
		r := run(t, manifest, "explain", image, "-f", "-").MustSucceed(t)
		if got := strings.Contains(r.Stdout, "Trust: "); got != want {
			t.Errorf("%s: %t, want %t:\n%s", image, got, want, r.Stdout)
		}
	}
}

// run runs the verb as the program does.
func run(t *testing.T, stdin string, args ...string) plugintest.Result {
	t.Helper()
	return plugintest.Run(t, plugintest.Program(Command()), stdin, args...)
}
