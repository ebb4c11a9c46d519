// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// quirkCase holds what the consumer does with an image against what we say. "fails" and "refused" stand for themselves.
type quirkCase struct {
	image, consumer, own string
}

func runQuirkCases(t *testing.T, sets string, reason mirrors.Reason, cases []quirkCase) {
	t.Helper()
	c := newConsumer(t)
	result := c.encode(t, sets)
	if found := slices.ContainsFunc(result.Findings, func(f mirrors.Finding) bool { return f.Reason == reason }); reason != "" && !found {
		t.Errorf("%s is not found", reason)
	}
	for _, q := range cases {
		ref := parse(t, q.image)
		if got := outline(c.resolve(t, ref)); got != q.consumer {
			t.Errorf("%s: the consumer pulls from %q, seen was %q", q.image, got, q.consumer)
		}
		if got := outline(ours(result.Rules, ref)); got != q.own {
			t.Errorf("%s: we say %q, want %q", q.image, got, q.own)
		}
	}
}

func outline(a answer) string {
	if a.Fails {
		return "fails"
	}
	if len(a.Tried) == 0 {
		return "refused"
	}
	var all []string
	for _, p := range a.Tried {
		all = append(all, strings.Replace(p.Location, digest, "@d", 1))
	}
	return strings.Join(all, " ")
}

func TestQ1AWildcardBeatsAHostOfEqualLength(t *testing.T) {
	runQuirkCases(t, "a: *.s.com -> w.m\nb: a.s.com -> h.m", mirrors.WildcardTie, []quirkCase{
		{"a.s.com/x@d", "w.m/x@d a.s.com/x@d", "h.m/x@d a.s.com/x@d"},
		{"b.s.com/x@d", "w.m/x@d b.s.com/x@d", "w.m/x@d b.s.com/x@d"},
	})
	runQuirkCases(t, "a: *.s.com -> w.m\nb: a.s.com/x -> h.m/x\nb: aa.s.com -> h.m", "", []quirkCase{
		{"a.s.com/x@d", "h.m/x@d a.s.com/x@d", "h.m/x@d a.s.com/x@d"},
		{"aa.s.com/x@d", "h.m/x@d aa.s.com/x@d", "h.m/x@d aa.s.com/x@d"},
	})
}

func TestQ2ASourceIsTakenForTheSameHostWithAPort(t *testing.T) {
	runQuirkCases(t, "a: s.com -> bare.m\nb: t.com -> path.m/t\nc: u.com -> port.m:5001\nd: v.com -> bare.m [Never]\ne: *.w.com -> bare.m", "", []quirkCase{
		{"s.com:5000/x@d", "bare.m:5000/x@d s.com:5000/x@d", "s.com:5000/x@d"},
		{"s.com:5000/x:1", "s.com:5000/x:1", "s.com:5000/x:1"},
		{"t.com:5000/x@d", "fails", "t.com:5000/x@d"},
		{"u.com:5000/x@d", "fails", "u.com:5000/x@d"},
		{"v.com:5000/x:1", "refused", "v.com:5000/x:1"},
		{"a.w.com:5000/x@d", "bare.m:5000/x@d a.w.com:5000/x@d", "a.w.com:5000/x@d"},
	})
	runQuirkCases(t, "a: s.com -> bare.m\nb: s.com:5000 -> other.m", "", []quirkCase{
		{"s.com:5000/x@d", "other.m/x@d s.com:5000/x@d", "other.m/x@d s.com:5000/x@d"},
	})
}

func TestQ2AWildcardIsFoundAtItsFirstOccurrenceOnly(t *testing.T) {
	runQuirkCases(t, "a: *.s.com -> w.m", "", []quirkCase{
		{"a.s.com.s.com/x@d", "a.s.com.s.com/x@d", "w.m/x@d a.s.com.s.com/x@d"},
		{"a.b.s.com/x@d", "w.m/x@d a.b.s.com/x@d", "w.m/x@d a.b.s.com/x@d"},
	})
}

func TestQ3ABareMirrorOfARepositoryFailsThatRepository(t *testing.T) {
	runQuirkCases(t, "a: s.com/r -> m.com:5000, n.com/r", mirrors.InvalidRewrite, []quirkCase{
		{"s.com/r@d", "fails", "n.com/r@d s.com/r@d"},
		{"s.com/r/x@d", "m.com:5000/x@d n.com/r/x@d s.com/r/x@d", "m.com:5000/x@d n.com/r/x@d s.com/r/x@d"},
		{"s.com/r:1", "s.com/r:1", "s.com/r:1"},
	})
	runQuirkCases(t, "a: s.com -> docker.io", mirrors.InvalidRewrite, []quirkCase{
		{"s.com/x@d", "fails", "s.com/x@d"},
		{"s.com/x/y@d", "docker.io/x/y@d s.com/x/y@d", "docker.io/x/y@d s.com/x/y@d"},
	})
	long := "m.com/" + strings.Repeat("x", 245)
	runQuirkCases(t, "a: s.com -> "+long, mirrors.LongMirror, []quirkCase{
		{"s.com/xy/z@d", "fails", "s.com/xy/z@d"},
		{"s.com/xyz@d", long + "/xyz@d s.com/xyz@d", long + "/xyz@d s.com/xyz@d"},
	})
}

func TestQ4ABlockedSourceIsBlockedAsAMirrorToo(t *testing.T) {
	runQuirkCases(t, "a: m.com -> n.com [Never]\nb: s.com -> m.com/s, n.com", mirrors.MirrorBlocked, []quirkCase{
		{"s.com/x@d", "n.com/x@d s.com/x@d", "n.com/x@d s.com/x@d"},
		{"m.com/x@d", "n.com/x@d", "n.com/x@d"},
		{"m.com/x:1", "refused", "refused"},
	})
}

func TestQ5SomeSourcesNeverMatch(t *testing.T) {
	runQuirkCases(t, "a: index.docker.io -> m.com", mirrors.UnmatchableSource, []quirkCase{
		{"index.docker.io/library/x@d", "docker.io/library/x@d", "docker.io/library/x@d"},
	})
	runQuirkCases(t, "a: registry-1.docker.io -> m.com", mirrors.UnmatchableSource, []quirkCase{
		{"x@d", "docker.io/library/x@d", "docker.io/library/x@d"},
	})
	runQuirkCases(t, "a: docker.io/alpine -> m.com", mirrors.DockerHubNamespace, []quirkCase{
		{"docker.io/alpine@d", "docker.io/library/alpine@d", "docker.io/library/alpine@d"},
		{"alpine/git@d", "m.com/git@d docker.io/alpine/git@d", "m.com/git@d docker.io/alpine/git@d"},
	})
	runQuirkCases(t, "a: foo -> m.com", mirrors.UnmatchableSource, []quirkCase{
		{"foo/x@d", "docker.io/foo/x@d", "docker.io/foo/x@d"},
	})
	runQuirkCases(t, "a: S.com -> m.com", mirrors.UnmatchableSource, []quirkCase{
		{"s.com/x@d", "s.com/x@d", "s.com/x@d"},
	})
}

func TestE3OneMirrorThatIsNoRegistryWouldFailEveryPull(t *testing.T) {
	c := newConsumer(t)
	for _, mirror := range []string{"mirror", "mirror/x", "index.docker.io", "index.docker.io/x"} {
		text := "[[registry]]\nlocation = \"s.com\"\n[[registry.mirror]]\nlocation = \"" + mirror + "\"\npull-from-mirror = \"digest-only\"\n"
		if err := c.load([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := outline(c.resolve(t, parse(t, "s.com/x/y@d"))); got != "fails" {
			t.Errorf("%s: the consumer pulls from %s", mirror, got)
		}
		if _, err := registriesconf.Decode([]byte(text)); err == nil {
			t.Errorf("%s: Decode takes the mirror", mirror)
		}
	}
}

func TestQ6TheTextNeedsNoReaderNewerThanPullFromMirror(t *testing.T) {
	rules := []mirrors.Rule{
		{Source: "*.s.com", Blocked: true, Insecure: true, Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest, Insecure: true}, {Location: "n.com", Modes: mirrors.ByDigest}}},
		{Source: "s.com", Blocked: true, Insecure: true, Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest}}},
	}
	text, err := registriesconf.Encode(rules)
	if err != nil {
		t.Fatal(err)
	}
	var document map[string][]map[string]any
	if err := toml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for top, tables := range document {
		seen[top] = true
		for _, table := range tables {
			for key, value := range table {
				seen[top+"."+key] = true
				if list, ok := value.([]any); ok {
					for nested := range list[0].(map[string]any) {
						seen[top+"."+key+"."+nested] = true
					}
				}
			}
		}
	}
	for _, known := range []string{
		"registry", "registry.prefix", "registry.location", "registry.insecure", "registry.blocked", "registry.mirror",
		"registry.mirror.location", "registry.mirror.insecure", "registry.mirror.pull-from-mirror",
	} {
		if !seen[known] {
			t.Errorf("the text of all there is has no %s", known)
		}
		delete(seen, known)
	}
	if len(seen) > 0 {
		t.Errorf("a reader of version 5.22 does not know %v", seen)
	}
}
