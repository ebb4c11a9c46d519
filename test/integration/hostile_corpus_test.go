// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// hostile are values that somebody could put where a source, a mirror, a policy or a scope belongs. A few are legal, and as odd.
var hostile = []string{
	"", " ", "\t", "\n", "\x00", "h.test\x00", "h.test\x07\x1b[31m", "h.test\r\n", "h.test\x7f", "\ufeffh.test",
	"h.test\"\nblocked = true\n[[registry]]\nlocation = \"evil.test", "h.test\"]]\n[[registry]]\nlocation=\"evil.test", `h.test"""` + "\nprefix=\"evil.test\"", "'''h.test'''", `h.test\`, `h.test\"`,
	`h.test\u0022\u000ablocked=true`, "h.test # comment", "# h.test", "[[registry]]", "h.test]]", "{{ .Values.mirror }}", "$(reboot)", "h.test;reboot", "<script>", "%s%n%x",
	"registry\u202egro.live.test", "h\u2066.test\u2069", "h\u200b.test", "h\u200d.test", "h\u00ad.test", "\u0445.test", "quay.i\u043e", "xn--e1afmkfd.test", "\uff48\uff0etest", "h\u3002test", "caf\u00e9.test", "cafe\u0301.test", "\U0001f433.test", "\u2028h.test",
	"h.test:99999999", "h.test:0", "h.test:-1", "h.test:5000:5000", "h.test:", ":5000", "[::1]:5000", "::1", "127.0.0.1", "169.254.169.254/latest",
	"user@h.test", "user:secret@h.test/x", "https://h.test", "file:///etc/passwd", "//h.test", "h.test//x", "/etc/passwd", "h.test/", "h.test/..", "../../etc/passwd", "h.test/%2e%2e/x", "h.test/%00", "h.test/a?b=c", "h.test/a#b", "h.test/a:tag", "h.test/a@sha256:00",
	"*", "*.", "*.*", "**", "*.*.test", "h.*", "*h.test", "h.test/*", "*.wild.test:5000", "*.wild.test/x", "*.wild.test", "-h.test", "h-.test", "h..test", ".h.test", "h.test.", "h_h.test", "H.TEST/UPPER", "h.test/_x", "h.test/x__", "mirror", "localhost", "index.docker.io/x", "docker.io",
	strings.Repeat("a", 300) + ".test", "deep.test" + strings.Repeat("/a", 600), strings.Repeat("../", 300), strings.Repeat("\U000e0001", 120), strings.Repeat("\x00\u202e", 5000),
}

// hostileSet is one of the corpus.
type hostileSet struct {
	client.Object
	// good is the source of an entry that stands beside what is hostile, and has the mirror "good.test/" and its name.
	good string
}

// asked is what all entries of the corpus name: mirrors by their sources.
type asked map[string]map[string]bool

func (a asked) add(source string, locations ...configv1.ImageMirror) {
	if a[source] == nil {
		a[source] = make(map[string]bool)
	}
	for _, m := range locations {
		a[source][string(m)] = true
	}
}

// hostileEntry is an entry of either kind.
type hostileEntry struct {
	source  string
	mirrors []configv1.ImageMirror
	policy  configv1.MirrorSourcePolicy
}

// hostileSets makes each value stand in each place, in sets of both kinds, and adds a few very large ones.
func hostileSets() (sets []hostileSet, all asked) {
	all = make(asked)
	add := func(annotation string, hostile ...hostileEntry) {
		for _, isTag := range []bool{false, true} {
			good := fmt.Sprintf("good-%d.test", len(sets))
			entries := append(slices.Clone(hostile), hostileEntry{source: good, mirrors: []configv1.ImageMirror{configv1.ImageMirror("good.test/" + good)}})
			var digests []configv1.ImageDigestMirrors
			var tags []configv1.ImageTagMirrors
			for _, e := range entries {
				all.add(e.source, e.mirrors...)
				digests = append(digests, configv1.ImageDigestMirrors{Source: e.source, Mirrors: e.mirrors, MirrorSourcePolicy: e.policy})
				tags = append(tags, configv1.ImageTagMirrors{Source: e.source, Mirrors: e.mirrors, MirrorSourcePolicy: e.policy})
			}
			var object client.Object = set(fmt.Sprintf("hostile-%d", len(sets)), digests...)
			if isTag {
				object = newTagSet(fmt.Sprintf("hostile-%d", len(sets)), tags...)
			}
			if annotation != "" {
				object.SetAnnotations(map[string]string{mirrors.InsecureAnnotation: annotation})
			}
			sets = append(sets, hostileSet{object, good})
		}
	}
	for i, value := range hostile {
		source, mirror := fmt.Sprintf("s-%d.test", i), configv1.ImageMirror(value)
		add("", hostileEntry{source: value, mirrors: []configv1.ImageMirror{"m.test"}})
		add(value, hostileEntry{source: source + "/a", mirrors: []configv1.ImageMirror{mirror}}, hostileEntry{source: source + "/b", mirrors: []configv1.ImageMirror{mirror, "m.test/b"}},
			hostileEntry{source: source + "/c", mirrors: []configv1.ImageMirror{"m.test/c"}, policy: configv1.MirrorSourcePolicy(value)})
	}
	mega := strings.Repeat("\u202e\x00x", 1<<20/11) // some 1 MB of JSON
	add("", hostileEntry{source: mega, mirrors: []configv1.ImageMirror{"m.test"}})
	add("", hostileEntry{source: "mega.test", mirrors: []configv1.ImageMirror{configv1.ImageMirror(mega)}})
	add(strings.Repeat("*.h.test,\x00", 20_000), hostileEntry{source: "long.test", mirrors: many(10_000, "m-%d.test")})
	add("", hostileEntry{source: "odd.test", mirrors: many(1000, "m-%d.test\x1b")})
	var each []hostileEntry
	for i := range 5000 {
		e := hostileEntry{source: fmt.Sprintf("each-%d.test", i)}
		for j := range 5 {
			e.mirrors = append(e.mirrors, configv1.ImageMirror(fmt.Sprintf("each-%d.test", (i+j+1)%5000)))
		}
		each = append(each, e)
	}
	add("", each...)
	return sets, all
}

func many(n int, format string) []configv1.ImageMirror {
	all := make([]configv1.ImageMirror, n)
	for i := range all {
		all[i] = configv1.ImageMirror(fmt.Sprintf(format, i))
	}
	return all
}
