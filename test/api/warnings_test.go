// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// kubectlApply applies a manifest, and returns the warnings that kubectl prints.
func kubectlApply(ctx context.Context, manifest string, flags ...string) []string {
	GinkgoHelper()
	cmd := kubectl(ctx, append([]string{"apply", "-f", "-"}, flags...)...)
	var stderr strings.Builder
	cmd.Stdin, cmd.Stderr = strings.NewReader(fill(manifest)), &stderr
	Expect(cmd.Run()).To(Succeed(), stderr.String())
	warnings := []string{}
	for line := range strings.Lines(stderr.String()) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "Warning: ")
		Expect(ok).To(BeTrue(), line)
		warnings = append(warnings, text)
	}
	return warnings
}

// warningPrefix is what the API server puts before the message of a policy.
const warningPrefix = "Validation failed for ValidatingAdmissionPolicy 'mirrorset-set-warnings' with binding 'mirrorset-set-warnings': "

// awaitWarnings waits for the policy to be in force.
func awaitWarnings() {
	GinkgoHelper()
	Eventually(func() []string {
		return post(configv1.ImageDigestMirrors{Source: "foo"}).expect(http.StatusCreated).warnings()
	}).ShouldNot(BeEmpty())
}

// howToBlock ends the warning of a policy that was to block a source.
const howToBlock = "; to block a source, name a mirror that cannot exist: mirrors: [blocked.invalid]"

// refused is the warning of a block.
func refused(source string) string {
	return `NeverContactSource blocks source "` + source + `" for all images: every pull by $OTHER fails, unless an $OTHERKIND names mirrors for it`
}

// fillOther writes what the other kind of sets is about as $OTHER, and its name as $OTHERKIND.
func fillOther(text string) string {
	other := kinds.Tag
	if kind == kinds.Tag {
		other = kinds.Digest
	}
	return strings.NewReplacer("$OTHERKIND", other.Name, "$OTHER", other.Mode.String()).Replace(text)
}

// doubtful are the rules of a set, and the warnings about it, without their prefix.
type doubtful struct {
	rules    string
	warnings []string
	// enforcement is the annotation by which a set is in shadow mode; empty for none.
	enforcement string
}

// meta is what the set has besides a name.
func (d doubtful) meta() string {
	if d.enforcement == "" {
		return ""
	}
	return fmt.Sprintf(`,"annotations":{%q:%q}`, mirrors.EnforcementAnnotation, d.enforcement)
}

var _ = describe("warnings about a set", func() {
	BeforeEach(awaitWarnings)

	DescribeTable("are printed by kubectl apply, which applies it", func(ctx SpecContext, d doubtful) {
		expected := []string{}
		for _, w := range d.warnings {
			expected = append(expected, warningPrefix+fillOther(w))
		}
		manifest := setJSON(name, d.meta(), `{"$FIELD":[`+d.rules+`]}`)
		Expect(kubectlApply(ctx, manifest)).To(Equal(expected))
		get(named).expect(http.StatusOK)
		Expect(kubectlApply(ctx, manifest, "--server-side", "--force-conflicts")).To(Equal(expected))
		changed := send(request{method: http.MethodPatch, path: named, contentType: mergePatch, body: `{"metadata":{"labels":{"a":"b"}}}`})
		Expect(changed.expect(http.StatusOK).warnings()).To(Equal(expected))
	},
		Entry("of a policy without mirrors", doubtful{
			rules:    `{"source":"a.com","mirrorSourcePolicy":"NeverContactSource"},{"source":"b.com","mirrors":[],"mirrorSourcePolicy":"AllowContactingSource"},{"source":"c.com"}`,
			warnings: []string{`a mirrorSourcePolicy has no effect without mirrors: NeverContactSource of source "a.com", AllowContactingSource of source "b.com"` + howToBlock},
		}),
		Entry("of a policy with the source as the only mirror", doubtful{
			rules:    `{"source":"a.com/x","mirrors":["a.com/x"],"mirrorSourcePolicy":"NeverContactSource"}`,
			warnings: []string{`a mirrorSourcePolicy has no effect without mirrors: NeverContactSource of source "a.com/x"` + howToBlock},
		}),
		Entry("of mirrors of a single label", doubtful{
			rules:    `{"source":"a.com","mirrors":["mirror/x","m.com","Mirror","localhost","localhost/x","mirror:5000"]},{"source":"b.com","mirrors":["mirror"]}`,
			warnings: []string{`a mirror whose host is a single label is ignored, because runtimes read it as a repository of docker.io; give the host a domain or a port: "mirror/x", "Mirror" of source "a.com", "mirror" of source "b.com"`},
		}),
		Entry("of mirrors at index.docker.io", doubtful{
			rules:    `{"source":"a.com","mirrors":["index.docker.io","m.com","index.docker.io/x","docker.io/x"]}`,
			warnings: []string{`a mirror at index.docker.io is ignored, because runtimes know this registry only as docker.io; write docker.io: "index.docker.io", "index.docker.io/x" of source "a.com"`},
		}),
		Entry("of Docker Hub by its other names", doubtful{
			rules:    `{"source":"index.docker.io"},{"source":"registry-1.docker.io/library/alpine"},{"source":"docker.io"},{"source":"index.docker.io.example"}`,
			warnings: []string{`source "index.docker.io", "registry-1.docker.io/library/alpine" never matches an image, because runtimes write Docker Hub as docker.io; use that as the host`},
		}),
		Entry("of a source of a single label", doubtful{
			rules:    `{"source":"foo"},{"source":"Foo/bar"},{"source":"localhost"},{"source":"foo:5000"},{"source":"*.io"}`,
			warnings: []string{`source "foo", "Foo/bar" never matches an image, because runtimes read a host that is a single label as a repository of docker.io; write the source with its registry`},
		}),
		Entry("but not of a namespace of Docker Hub", doubtful{
			rules: `{"source":"docker.io/bitnami"},{"source":"docker.io/library"},{"source":"docker.io/library/alpine"},{"source":"docker.io/grafana/grafana"}`,
		}),
		Entry("of capital letters in the host", doubtful{
			rules:    `{"source":"Quay.io/x"},{"source":"*.RedHat.io"},{"source":"foo:5000"},{"source":"LOCALHOST:5000"}`,
			warnings: []string{`source "Quay.io/x", "*.RedHat.io", "LOCALHOST:5000" has capital letters in its host, but runtimes compare hosts byte by byte, and images usually have none`},
		}),
		Entry("of a blocked source as its own mirror", doubtful{
			rules:    `{"source":"a.com","mirrors":["m.com","a.com"],"mirrorSourcePolicy":"NeverContactSource"},{"source":"b.com","mirrors":["m.com","b.com"]}`,
			warnings: []string{`source "a.com" is blocked by NeverContactSource, so it is ignored as its own mirror; remove it from the list`, refused("a.com")},
		}),
		Entry("of a policy that allows, which tells nobody how to block", doubtful{
			rules:    `{"source":"a.com","mirrorSourcePolicy":"AllowContactingSource"}`,
			warnings: []string{`a mirrorSourcePolicy has no effect without mirrors: AllowContactingSource of source "a.com"`},
		}),
		Entry("of blocks that refuse what the other kind names no mirror for", doubtful{
			rules:    `{"source":"a.com","mirrors":["m.com"],"mirrorSourcePolicy":"NeverContactSource"},{"source":"b.com","mirrors":["m.com"]},{"source":"c.com/x","mirrors":["m.com","blocked.invalid"],"mirrorSourcePolicy":"NeverContactSource"}`,
			warnings: []string{refused(`a.com", "c.com/x`)},
		}),
		Entry("but not of one that is wanted, with a mirror that cannot exist", doubtful{
			rules:    `{"source":"a.com","mirrors":["blocked.invalid"],"mirrorSourcePolicy":"NeverContactSource"},{"source":"b.com","mirrors":["x.INVALID:5000/y","b.com"],"mirrorSourcePolicy":"NeverContactSource"}`,
			warnings: []string{`source "b.com" is blocked by NeverContactSource, so it is ignored as its own mirror; remove it from the list`},
		}),
		Entry("of several", doubtful{
			rules: `{"source":"docker.io/alpine","mirrors":["mirror"]},{"source":"foo","mirrorSourcePolicy":"NeverContactSource"}`,
			warnings: []string{
				`a mirrorSourcePolicy has no effect without mirrors: NeverContactSource of source "foo"` + howToBlock,
				`a mirror whose host is a single label is ignored, because runtimes read it as a repository of docker.io; give the host a domain or a port: "mirror" of source "docker.io/alpine"`,
				`source "foo" never matches an image, because runtimes read a host that is a single label as a repository of docker.io; write the source with its registry`,
			},
		}),
		Entry("of none, without rules", doubtful{}),
		Entry("of a value of the annotation that means nothing", doubtful{
			enforcement: " Shadow ", rules: `{"source":"a.com","mirrors":["m.com"],"mirrorSourcePolicy":"NeverContactSource"}`,
			warnings: []string{`annotation mirrorset.io/enforcement: the value "Shadow" is ignored, because the only valid value is shadow, so nodes enforce NeverContactSource`, refused("a.com")},
		}),
		Entry("of a value of the annotation that has lines", doubtful{
			enforcement: "shadow\nenforce", rules: `{"source":"a.com","mirrors":["m.com"]}`,
			warnings: []string{`annotation mirrorset.io/enforcement is ignored, because its value is not shadow, so nodes enforce NeverContactSource`},
		}),
		Entry("of shadow mode, and not of blocks that there are not", doubtful{
			enforcement: "shadow\n", rules: `{"source":"a.com","mirrors":["m.com","a.com"],"mirrorSourcePolicy":"NeverContactSource"},{"source":"b.com","mirrors":["m.com"]},{"source":"c.com","mirrors":["mirror"],"mirrorSourcePolicy":"NeverContactSource"}`,
			warnings: []string{
				`the set is in shadow mode, so nodes do not enforce NeverContactSource for source "a.com", "c.com"`,
				`a mirror whose host is a single label is ignored, because runtimes read it as a repository of docker.io; give the host a domain or a port: "mirror" of source "c.com"`,
			},
		}),
		Entry("but not of shadow mode that nothing depends on", doubtful{enforcement: "shadow", rules: `{"source":"a.com","mirrors":["m.com"]}`}),
	)

	It("are never more than that", func(ctx SpecContext) {
		for resource, path := range map[string]string{
			"validatingadmissionpolicy":        "{.spec.failurePolicy}",
			"validatingadmissionpolicybinding": "{.spec.validationActions[*]}",
		} {
			out, err := kubectl(ctx, "get", resource, "mirrorset-set-warnings", "-o", "jsonpath="+path).Output()
			Expect(err).NotTo(HaveOccurred())
			Expect(string(out)).To(BeElementOf("Ignore", "Warn"))
		}
	})

	It("are printed for no sample but the one that blocks", func(ctx SpecContext) {
		samples, err := filepath.Glob("../../config/samples/*.yaml")
		Expect(err).NotTo(HaveOccurred())
		Expect(samples).NotTo(BeEmpty())
		cmd := kubectl(ctx, "apply", "-f", "config/samples")
		out, err := cmd.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
		const warning = "Warning: " + warningPrefix + `NeverContactSource blocks source "ghcr.io/example" for all images: every pull by tag fails, unless an ImageTagMirrorSet names mirrors for it` + "\n"
		Expect(string(out)).To(ContainSubstring(warning))
		rest := strings.ReplaceAll(string(out), warning, "")
		Expect(strings.Count(rest, "\n")).To(Equal(len(samples)))
		Expect(rest).NotTo(ContainSubstring("Warning"))
	})

	DescribeTable("are about what internal/mirrors finds", func(rules ...configv1.ImageDigestMirrors) {
		for _, rule := range rules {
			refuses := mirrors.BlocksTagPulls
			if kind == kinds.Tag {
				refuses = mirrors.BlocksDigestPulls
			}
			about := map[mirrors.Reason][]string{
				mirrors.PolicyWithoutMirrors: {"a mirrorSourcePolicy has no effect"},
				mirrors.InvalidMirror:        {"a mirror whose host is a single label", "a mirror at index.docker.io"},
				mirrors.UnmatchableSource:    {"never matches an image", "compare hosts byte by byte"},
				mirrors.SourceInOwnMirrors:   {"is blocked by NeverContactSource"},
				refuses:                      {"for all images"},
			}
			warnings := post(rule).expect(http.StatusCreated).warnings()
			for reason, texts := range about {
				warned := false
				for _, text := range texts {
					warned = warned || strings.Contains(strings.Join(warnings, "\n"), text)
				}
				judged := rule
				if reason == mirrors.UnmatchableSource { // which is said even of an entry that loses all its mirrors
					judged = configv1.ImageDigestMirrors{Source: rule.Source}
				}
				Expect(warned).To(Equal(len(found(judged, reason)) > 0), "%s of %v: %q", reason, rule, warnings)
			}
		}
	}, agreementTable())
})

// agreementTable has each source with each choice of mirrors and policies.
func agreementTable() []TableEntry {
	entries := []TableEntry{}
	for _, source := range []string{
		"quay.io", "quay.io/x", "foo", "foo/x", "Foo", "foo:5000", "Quay.io", "quay.io:5000/x", "localhost", "localhost/x", "localhost:5000", "LocalHost:1",
		"docker.io", "docker.io/alpine", "docker.io/library", "docker.io/library/alpine", "docker.io/a/b", "index.docker.io", "index.docker.io/x", "registry-1.docker.io/x/y", "xindex.docker.io", "index.docker.io.com",
		"*.io", "*.Io", "*.docker.io", "1", "10.0.0.1",
	} {
		rules := []any{}
		for _, policy := range []configv1.MirrorSourcePolicy{"", configv1.NeverContactSource, configv1.AllowContactingSource} {
			for _, list := range [][]configv1.ImageMirror{
				nil, {"m.com"}, {"mirror"}, {"mirror/x", "m.com"}, {"m.com", "Mirror:1"}, {"localhost"}, {"localhost/x"}, {"index.docker.io/x", "m.com"}, {"index.docker.iox"},
				{"blocked.invalid"}, {"mirror", "a.Invalid:1/x"}, {"invalid:1"}, {"invalid"}, {"m.com", "x.invalid"}, {"not-invalid.com"},
			} {
				rules = append(rules, configv1.ImageDigestMirrors{Source: source, Mirrors: list, MirrorSourcePolicy: policy})
			}
			if !strings.HasPrefix(source, "*") {
				own := configv1.ImageMirror(source)
				rules = append(rules,
					configv1.ImageDigestMirrors{Source: source, Mirrors: []configv1.ImageMirror{own}, MirrorSourcePolicy: policy},
					configv1.ImageDigestMirrors{Source: source, Mirrors: []configv1.ImageMirror{"m.com", own}, MirrorSourcePolicy: policy})
			}
		}
		entries = append(entries, Entry(source, rules...))
	}
	return entries
}

var _ = describe("a large set", func() {
	BeforeEach(awaitWarnings)

	// spec returns n rules of some length, each doubtful where odd says so.
	spec := func(n int, odd func(i int) bool) string {
		rules := []configv1.ImageDigestMirrors{}
		for i := range n {
			rule := configv1.ImageDigestMirrors{Source: fmt.Sprintf("registry-%d.example.com/namespace/repository", i)}
			for j := range 5 {
				rule.Mirrors = append(rule.Mirrors, configv1.ImageMirror(fmt.Sprintf("mirror-%d.example.com:5000/some/namespace/repository-%d", j, i)))
			}
			if odd(i) {
				rule.Mirrors[2] = configv1.ImageMirror(fmt.Sprintf("mirror/odd-%d", i))
				rule.Source = fmt.Sprintf("index.docker.io/odd-%d", i)
			}
			rules = append(rules, rule)
		}
		return specJSON(rules...)
	}
	send := func(spec string) []string {
		GinkgoHelper()
		res := send(request{method: http.MethodPost, path: collection, query: "dryRun=All", body: setJSON(name, "", spec)})
		res.body = nil // not to print all of it
		return res.expect(http.StatusCreated).warnings()
	}

	It("of a thousand rules has its warnings", func() {
		Expect(send(spec(1000, func(int) bool { return false }))).To(BeEmpty())
		warnings := send(spec(1000, func(i int) bool { return i%300 == 1 }))
		Expect(warnings).To(HaveLen(2))
		Expect(warnings[0]).To(ContainSubstring(`"mirror/odd-1" of source "index.docker.io/odd-1", "mirror/odd-301" of`))
	})

	It("of a thousand doubtful rules has warnings without their names", func() {
		warnings := send(spec(1000, func(int) bool { return true }))
		Expect(warnings).To(HaveLen(2))
		Expect(warnings).To(HaveEach(HavePrefix(warningPrefix)))
		Expect(warnings).To(HaveEach(Not(ContainSubstring("odd-1"))))
	})

	It("of as many rules as fit into a request is accepted", func() {
		Expect(send(spec(6000, func(int) bool { return false }))).To(BeEmpty())
		send(spec(6000, func(int) bool { return true }))
	})
})
