// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// An index is there if the manifests for the cluster's platforms are.
func TestThePlatformsAreThoseOfTheNodes(t *testing.T) {
	plugintest.Isolate(t)
	m, x := plugintest.NewMirror(t), plugintest.NewIndex(t, "linux/amd64", "linux/arm64", "linux/s390x")
	m.Put(t, "q/app", x, x.Images["linux/arm64"], x.Images["linux/s390x"])
	amd, arm := nodeOf("linux/amd64", "containerd"), nodeOf("linux/arm64", "containerd")
	refused := served(t, nil)
	refused["/api/v1/nodes"] = http.HandlerFunc(plugintest.Refuse)
	for _, tt := range []struct {
		name   string
		server map[string]any
		args   []string
		lacks  string
	}{
		{"one platform", served(t, nil, amd, amd), nil, ""},
		{"two platforms", served(t, nil, amd, arm, corev1.Node{}), nil, "it lacks the manifest for linux/arm64 " + x.Images["linux/arm64"]},
		{"platforms that are named count alone", served(t, nil, amd, arm), []string{"--platform=linux/amd64"}, ""},
		{"nodes that cannot be listed", refused, nil, "it lacks the manifest for linux/arm64 " + x.Images["linux/arm64"] + ", the manifest for linux/s390x " + x.Images["linux/s390x"]},
		{"no cluster", nil, nil, "it lacks the manifest for linux/arm64 " + x.Images["linux/arm64"] + ", the manifest for linux/s390x " + x.Images["linux/s390x"]},
		{"no cluster, and a platform", nil, []string{"--platform", "linux/amd64,linux/s390x"}, "it lacks the manifest for linux/s390x " + x.Images["linux/s390x"]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"-f", "-", "quay.io/app@" + x.Digest, "--insecure-registry", m.Host}, tt.args...)
			if tt.server != nil {
				tt.server["/api/v1/pods"] = corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{podNamed("a", "b", "quay.io/app@"+x.Digest)}}
				args = append(args, "--pods", "--server", plugintest.Serve(t, tt.server))
			}
			got, r := runJSON(t, plugintest.Never("a", "quay.io", m.Host+"/q"), args...)
			place, want := got.Images[0].Places[0], "OK"
			if tt.lacks != "" {
				want = "Incomplete"
			}
			if string(place.Result) != want || !strings.HasPrefix(place.Message, tt.lacks) || (r.Code == 0) != (tt.lacks == "") {
				t.Errorf("%s, %q, exit code %d; want %s, %q", place.Result, place.Message, r.Code, want, tt.lacks)
			}
			if warned := strings.Contains(r.Stderr, "warning: the Nodes of the cluster could not be listed, so each index"); warned != strings.HasPrefix(tt.name, "nodes") {
				t.Errorf("stderr %q", r.Stderr)
			}
		})
	}
}

// CRI-O and Podman stay at the first place that has the manifest; containerd asks each place for each part.
func TestWhatAPlaceLacksMayBeElsewhere(t *testing.T) {
	plugintest.Isolate(t)
	first, second, third, source := plugintest.NewMirror(t), plugintest.NewMirror(t), plugintest.NewMirror(t), plugintest.NewMirror(t)
	x := plugintest.NewIndex(t, "linux/amd64", "linux/arm64")
	first.Put(t, "q/app", x, x.Layer, x.Images["linux/arm64"])
	second.Put(t, "q/app", x)
	third.Put(t, "q/app", x, x.Layer)
	source.Put(t, "app", x)
	cluster := func(runtimes ...string) string {
		nodes := []corev1.Node{nodeOf("linux/arm64", runtimes[0])}
		for _, r := range runtimes {
			nodes = append(nodes, nodeOf("linux/amd64", r))
		}
		return plugintest.Serve(t, served(t, []corev1.Pod{podNamed("a", "by-digest", source.Host+"/app@"+x.Digest), podNamed("a", "by-tag", source.Host+"/app")}, nodes...))
	}
	never := "    mirrorSourcePolicy: NeverContactSource\n"
	both := func(end string, places ...string) string {
		return plugintest.Documents(plugintest.Set("a", source.Host, places...)+end, plugintest.TagSet("a", source.Host, places...)+end)
	}
	for _, tt := range []struct {
		name, manifest, runtimes string
		digest, tag              origin
	}{
		{"containerd, and the second has the rest", both(never, first.Host+"/q", second.Host+"/q"), "containerd", fromMirror, fromMirror},
		{"CRI-O, and the second has the rest", both(never, first.Host+"/q", second.Host+"/q"), "cri-o", fromNowhere, fromNowhere},
		{"both", both(never, first.Host+"/q", second.Host+"/q"), "containerd cri-o", fromNowhere, fromNowhere},
		{"containerd, and nobody has the layer", both(never, first.Host+"/q", third.Host+"/q"), "containerd", fromNowhere, fromNowhere},
		{"containerd, and the source may have it", both("", first.Host+"/q", third.Host+"/q"), "containerd", fromSource, fromSource},
		{"CRI-O, and the source may have it", both("", first.Host+"/q"), "cri-o", fromNowhere, fromNowhere},
		{"containerd: a tag's content comes from mirrors for digests too", plugintest.Documents(plugintest.Set("a", source.Host, second.Host+"/q")+never, plugintest.TagSet("a", source.Host, first.Host+"/q")), "containerd", fromMirror, fromMirror},
		{"containerd: and not from other mirrors for tags", plugintest.Documents(plugintest.Set("a", source.Host, third.Host+"/q")+never, plugintest.TagSet("a", source.Host, first.Host+"/q", second.Host+"/q")), "containerd", fromNowhere, fromNowhere},
		{"a whole one before it", both(never, second.Host+"/q", first.Host+"/q"), "cri-o", fromMirror, fromMirror},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"-f", "-", "--pods", "--layers", "--server", cluster(strings.Fields(tt.runtimes)...)}
			for _, m := range []*plugintest.Mirror{first, second, third, source} {
				args = append(args, "--insecure-registry", m.Host)
			}
			got, r := runJSON(t, tt.manifest, args...)
			digest, tag := got.of(t, source.Host+"/app@"+x.Digest), got.of(t, source.Host+"/app:latest")
			if digest.From != tt.digest || tag.From != tt.tag || (r.Code == 0) != (tt.digest == fromMirror && tt.tag == fromMirror) {
				t.Errorf("by digest %s, by tag %s, exit code %d; want %s, %s; stdout:\n%s", digest.From, tag.From, r.Code, tt.digest, tt.tag, r.Stdout)
			}
		})
	}
}

// Another place has the same index, which lists no manifest for the platform there either.
func TestAnIndexWithoutThePlatformIsNoBetterElsewhere(t *testing.T) {
	plugintest.Isolate(t)
	m, x := plugintest.NewMirror(t), plugintest.NewIndex(t, "linux/amd64")
	m.Put(t, "q/app", x)
	server := plugintest.Serve(t, served(t, []corev1.Pod{podNamed("a", "b", "quay.io/app@"+x.Digest)}, nodeOf("linux/s390x", "containerd")))
	got, r := runJSON(t, plugintest.Set("a", "quay.io", m.Host+"/q"), "-f", "-", "--pods", "--server", server, "--insecure-registry", m.Host)
	if image := got.of(t, "quay.io/app@"+x.Digest); image.From != fromNowhere || r.Code != 1 {
		t.Errorf("%+v, exit code %d", image, r.Code)
	}
}

// The runtimes that read registries.conf have quirks (Q1 to Q3), which count where such a runtime may be there.
func TestImagesAreJudgedAsTheRuntimesOfTheNodesPullThem(t *testing.T) {
	plugintest.Isolate(t)
	m, empty, x := plugintest.NewMirror(t), plugintest.NewMirror(t), plugintest.NewIndex(t, "linux/amd64")
	m.Put(t, "q", x)
	m.Put(t, "q/app", x)
	for _, tt := range []struct {
		name, image, sets string
		containerd, crio  origin
		message           string
	}{
		{"a mirror that makes no image (Q3)", "quay.io/app", plugintest.Set("a", "quay.io/app", m.Host+"/q/app", "b.example:5000"), fromMirror, fromNowhere,
			`the pull fails with CRI-O and Podman: mirror "b.example:5000" turns it into `},
		{"a wildcard as long as the source (Q1)", "a.b.c/app", plugintest.Documents(plugintest.Set("a", "a.b.c", m.Host+"/q"), plugintest.Set("b", "*.b.c", empty.Host+"/q")), fromMirror, fromSource,
			"CRI-O and Podman do not pull it from the places that the sets name"},
	} {
		for runtimes, want := range map[string]origin{"containerd": tt.containerd, "cri-o": tt.crio, "containerd cri-o": tt.crio, "": tt.crio} {
			t.Run(tt.name+" "+runtimes, func(t *testing.T) {
				image := tt.image + "@" + x.Digest
				args := []string{"-f", "-", "--insecure-registry", m.Host, "--insecure-registry", empty.Host}
				if runtimes == "" {
					args = append(args, image)
				} else {
					var nodes []corev1.Node
					for _, r := range strings.Fields(runtimes) {
						nodes = append(nodes, nodeOf("linux/amd64", r))
					}
					args = append(args, "--pods", "--server", plugintest.Serve(t, served(t, []corev1.Pod{podNamed("a", "b", image)}, nodes...)))
				}
				got, r := runJSON(t, tt.sets, args...)
				found := got.of(t, image)
				if found.From != want || (r.Code == 0) != (want == fromMirror) || strings.HasPrefix(found.Message, tt.message) != (runtimes != "containerd") {
					t.Errorf("%s, %q, exit code %d; want %s; stdout:\n%s", found.From, found.Message, r.Code, want, r.Stdout)
				}
			})
		}
	}
}
