// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Few parts, so that sources nest, tie and collide.
var (
	drawHost     = rapid.SampledFrom([]string{"s.com", "s.com", "t.com", "a.s.com", "s.com:5000", "docker.io", "localhost:5000", "http.com"})
	drawMirror   = rapid.SampledFrom([]string{"m.com", "m.com/x", "m.com/x/y", "n.com:5000", "n.com:5000/v2", "k.com", "s.com", "t.com/x", "docker.io/x"})
	drawPath     = rapid.SampledFrom([]string{"", "", "", "/x", "/x/y"})
	drawWildcard = rapid.SampledFrom([]string{"*.s.com", "*.com"})
	drawPolicy   = rapid.SampledFrom([]configv1.MirrorSourcePolicy{"", "", configv1.NeverContactSource})
)

func drawEntry(t *rapid.T) configv1.ImageDigestMirrors {
	host := drawHost
	if rapid.IntRange(0, 2).Draw(t, "of mirror") == 0 { // so that mirrors are blocked
		host = rapid.Map(drawMirror, func(location string) string { name, _, _ := strings.Cut(location, "/"); return name })
	}
	entry := configv1.ImageDigestMirrors{Source: host.Draw(t, "host") + drawPath.Draw(t, "path"), MirrorSourcePolicy: drawPolicy.Draw(t, "policy")}
	if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
		entry.Source = drawWildcard.Draw(t, "wildcard")
	}
	for range rapid.IntRange(0, 4).Draw(t, "mirrors") {
		entry.Mirrors = append(entry.Mirrors, configv1.ImageMirror(rapid.OneOf(drawMirror, rapid.Just(entry.Source)).Draw(t, "mirror")))
	}
	return entry
}

func drawRules(t *rapid.T) []mirrors.Rule {
	var in input
	for _, name := range []string{"a", "b"} {
		set := configv1.ImageDigestMirrorSet{}
		set.Name = name
		set.Spec.ImageDigestMirrors = rapid.SliceOfN(rapid.Custom(drawEntry), 1, 4).Draw(t, name)
		in.sets = append(in.sets, set)
	}
	tags := configv1.ImageTagMirrorSet{}
	tags.Name = "c"
	for _, e := range rapid.SliceOfN(rapid.Custom(drawEntry), 0, 3).Draw(t, "tags") {
		tags.Spec.ImageTagMirrors = append(tags.Spec.ImageTagMirrors, configv1.ImageTagMirrors(e))
	}
	in.tags = append(in.tags, tags)
	in.insecure = parseScopes(t, rapid.SliceOfN(rapid.SampledFrom([]string{"s.com", "m.com/x", "n.com:5000", "docker.io"}), 0, 2).Draw(t, "insecure"))
	return in.rules(t)
}

// implied returns where containerd, with these endpoints, looks for a reference, in our words. The two ways to an insecure
// place are one place, and a place that is asked twice in a row counts once.
func implied(hosts []certsd.Endpoint, router *route.Router, host string, ref mirrors.Reference) []string {
	var all []string
	way := router.Route(host, strings.TrimPrefix(ref.Name, host+"/"), ref.Mode)
	for _, e := range hosts {
		location := e.Host + strings.TrimPrefix(e.Path, "/v2") + strings.TrimPrefix(ref.Name, host)
		if _, entry, _, ok := route.CutPath(e.Path); ok {
			switch rank, isRank := entry.Rank(); {
			case isRank && rank >= len(way.Mirrors), !isRank && way.IsBlocked():
				continue
			case isRank:
				location = way.Mirrors[rank].Host + "/" + way.Mirrors[rank].Repository
			default:
				location = way.Source.Host + "/" + way.Source.Repository
			}
		}
		switch {
		case e.DigestOnly && ref.Mode == mirrors.ByTag:
			continue
		case e.Host == "":
			location = ref.Name
		case strings.HasPrefix(location, "registry-1.docker.io/"):
			location = strings.Replace(location, "registry-1.", "", 1)
		}
		all = append(all, location+ref.Suffix)
	}
	return slices.Compact(all)
}

// byHost returns the files of a tree by their host, and the hosts that are pending.
func byHost(tree certsd.Tree) (files map[string]certsd.File, isPending map[string]bool) {
	files, isPending = make(map[string]certsd.File), make(map[string]bool)
	for _, f := range tree.Files {
		files[f.Host] = f
	}
	for _, p := range tree.Pending {
		isPending[p.Host] = true
	}
	return files, isPending
}

// standIn returns where containerd looks for a reference by the file that there would be without a redirector; or, where there is none, the source, unless
// something is blocked of what the file with the redirector is for.
func standIn(t failer, rules []mirrors.Rule, node certsd.Node, of string, router *route.Router, ref mirrors.Reference) []string {
	t.Helper()
	node.Redirector = ""
	files, _ := byHost(certsd.Project(rules, node))
	host := mirrors.Scope(ref.Name).Host()
	if f, ok := files[of]; ok {
		return implied(parse(t, of, f.Content), router, host, ref)
	}
	for i := range rules {
		source := rules[i].Source
		isOf := source.Host() == host || source == router.Wildcard(host)
		if of == certsd.DefaultHost {
			isOf = source.IsWildcard() && node.AllowDefaultHost
		}
		if isOf && rules[i].Blocked {
			return nil
		}
	}
	return []string{ref.String()}
}

// TestContainerdPullsFromWhereWeSay is N5 for hosts with a file, for those that the default host's file is for, and for
// hosts of which nothing is said at all. The redirector's entries say it alone, so that what stands behind changes nothing while the agent is there; and that
// says, while it is away, what it would say without any redirector.
func TestContainerdPullsFromWhereWeSay(t *testing.T) {
	drawn, compared, redirected, behind, wild, blocked := 0, 0, 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		node := certsd.Node{Redirector: redirector, AllowDefaultHost: rapid.Bool().Draw(t, "allow"),
			Watched: rapid.SliceOfN(rapid.SampledFrom([]mirrors.Scope{"s.com", "k.com/x", "n.com:5000", "*.s.com"}), 0, 2).Draw(t, "watched")}
		index, router := mirrors.NewIndex(rules), route.NewRouter(rules)
		files, isPending := byHost(certsd.Project(rules, node))
		for range 20 {
			ref := drawReference(t, rules)
			host := mirrors.Scope(ref.Name).Host()
			drawn++
			resolution := index.Resolve(ref)
			f, ok := files[host]
			if !ok {
				f, ok = files[certsd.DefaultHost]
			}
			if resolution.Rule != nil && isPending[string(resolution.Rule.Source)] && f.Host != host {
				continue
			}
			compared++
			var want []string
			for _, s := range resolution.PullSources {
				want = append(want, s.Location)
			}
			want, got := slices.Compact(want), []string{ref.String()}
			if ok {
				entries, rest := cutEntries(parse(t, f.Host, f.Content))
				if got = implied(rest, router, host, ref); len(entries) > 0 {
					redirected++
					if away := standIn(t, rules, node, f.Host, router, ref); !slices.Equal(got, away) {
						t.Fatalf("%s: while the agent is away:\n got  %q\n want %q\n%s", ref, got, away, f.Content)
					}
					if len(rest) > 0 {
						behind++
					}
					got = implied(entries, router, host, ref)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s:\n got  %q\n want %q\n%s", ref, got, want, f.Content)
			}
			if resolution.Rule != nil && resolution.Rule.Source.IsWildcard() {
				wild++
			}
			if resolution.Blocked {
				blocked++
			}
		}
	})
	t.Logf("of %d draws, %d were compared, %d through the redirector, %d with more behind, %d of a wildcard, %d of a blocked source", drawn, compared, redirected, behind, wild, blocked)
	if !t.Failed() && (compared < drawn*9/10 || redirected < drawn/2 || behind < drawn/5 || wild < drawn/100 || blocked < drawn/20) {
		t.Error("that is too little")
	}
}

// drawReference draws an image, mostly of a registry that rules name.
func drawReference(t *rapid.T, rules []mirrors.Rule) mirrors.Reference {
	host := rapid.SampledFrom([]string{"m.com", "n.com:5000", "k.com", "a.s.com", "s.com"}).Draw(t, "host")
	if len(rules) > 0 && rapid.IntRange(0, 3).Draw(t, "free") > 0 {
		host = rapid.SampledFrom(rules).Draw(t, "rule").Source.Host()
		host = strings.Replace(host, "*", "b", 1)
	}
	// Two components: docker.io/x has another name.
	path := rapid.SampledFrom([]string{"/x/y", "/x/y/z", "/z/x", "/v2/x"}).Draw(t, "path")
	ref, err := mirrors.ParseReference(host + path + rapid.SampledFrom([]string{digest, digest, ":1"}).Draw(t, "suffix"))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// TestABlockedSourceStandsNowhere is N4: neither in its own file nor, by Q4, in another.
func TestABlockedSourceStandsNowhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		tree := certsd.Project(rules, certsd.Node{Redirector: redirector})
		for i := range rules {
			rule := &rules[i]
			if !rule.Blocked || strings.ContainsAny(string(rule.Source), "*/") {
				continue
			}
			host := string(rule.Source)
			if host == "docker.io" {
				host = "registry-1.docker.io"
			}
			for _, f := range tree.Files {
				for _, e := range parse(t, f.Host, f.Content) {
					if f.Host == string(rule.Source) && (e.Host == host || !e.DigestOnly && !e.NoPush && e.Host != redirector) {
						t.Fatalf("the file of %s lets %+v in\n%s", rule.Source, e, f.Content)
					}
				}
			}
		}
	})
}

func TestEveryFileIsWellFormed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		node := certsd.Node{Redirector: redirector, AllowDefaultHost: true}
		tree := certsd.Project(rules, node)
		for _, f := range tree.Files {
			if !strings.HasPrefix(string(f.Content), certsd.Marker) {
				t.Fatalf("%s is not marked as ours", f.Path)
			}
			hosts := parse(t, f.Host, f.Content)
			if again := certsd.Render(hosts); string(again) != string(f.Content) {
				t.Fatalf("read as %+v, which is written as\n%s\nnot\n%s", hosts, again, f.Content)
			}
		}
		if again := certsd.Project(rapid.Permutation(rules).Draw(t, "shuffled"), node); !reflect.DeepEqual(again, tree) {
			t.Fatalf("another order of the rules gives\n%+v\nnot\n%+v", again, tree)
		}
	})
}
