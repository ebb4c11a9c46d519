// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
	"github.com/mirrorset/mirrorset/internal/plugin/registry"
)

func platformsOf(t *testing.T, texts ...string) (all []ocispec.Platform) {
	t.Helper()
	for _, text := range texts {
		p, err := registry.ParsePlatform(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestAnIndexIsThereWithTheManifestsOfThePlatforms(t *testing.T) {
	plugintest.Isolate(t)
	for _, tt := range []struct {
		name            string
		listed, without []string
		wanted          []string
		lacks           string // "" for a place that has all
	}{
		{"all is there", []string{"linux/amd64", "linux/arm64"}, nil, nil, ""},
		{"one of all is not", []string{"linux/amd64", "linux/arm64"}, []string{"linux/arm64"}, nil, "it lacks the manifest for linux/arm64 {linux/arm64}"},
		{"one is not that nobody needs", []string{"linux/amd64", "linux/arm64"}, []string{"linux/arm64"}, []string{"linux/amd64"}, ""},
		{"the one that is needed is not", []string{"linux/amd64", "linux/arm64"}, []string{"linux/arm64"}, []string{"linux/arm64"}, "it lacks the manifest for linux/arm64 {linux/arm64}"},
		{"one of those that are needed is not", []string{"linux/amd64", "linux/arm64", "linux/s390x"}, []string{"linux/arm64", "linux/s390x"}, []string{"linux/amd64", "linux/arm64"}, "it lacks the manifest for linux/arm64 {linux/arm64}"},
		{"none is listed for a platform", []string{"linux/amd64"}, nil, []string{"linux/amd64", "linux/arm64"}, "it lacks a manifest for linux/arm64: its index lists none"},
		{"the variant is that of the architecture", []string{"linux/amd64", "linux/arm64/v8"}, []string{"linux/arm64/v8"}, []string{"linux/arm64"}, "it lacks the manifest for linux/arm64/v8 {linux/arm64/v8}"},
		{"the best variant counts", []string{"linux/arm/v6", "linux/arm/v7"}, []string{"linux/arm/v7"}, []string{"linux/arm"}, "it lacks the manifest for linux/arm/v7 {linux/arm/v7}"},
		{"a lesser variant does not", []string{"linux/arm/v6", "linux/arm/v7"}, []string{"linux/arm/v6"}, []string{"linux/arm"}, ""},
		{"one without a platform is for any", []string{""}, []string{""}, []string{"linux/amd64"}, "it lacks the manifest {}"},
		{"one without a platform is for none that another is for", []string{"", "linux/amd64"}, []string{""}, []string{"linux/amd64"}, ""},
		{"what is attested is no image", []string{"linux/amd64", "unknown/unknown"}, []string{"unknown/unknown"}, nil, ""},
		{"an index of nothing else", []string{"unknown/unknown"}, nil, nil, "it lacks all manifests: its index lists none"},
		{"windows, by its build", []string{"windows/amd64:10.0.17763.1", "windows/amd64:10.0.20348.1"}, []string{"windows/amd64:10.0.20348.1"}, []string{"windows(10.0.20348.2227)/amd64"}, "it lacks the manifest for windows(10.0.20348.1)/amd64 {windows/amd64:10.0.20348.1}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, x := plugintest.NewMirror(t), plugintest.NewIndex(t, tt.listed...)
			var without []string
			want := tt.lacks
			for _, platform := range tt.without {
				without = append(without, x.Images[platform])
				want = strings.ReplaceAll(want, "{"+platform+"}", x.Images[platform])
			}
			m.Put(t, "q/app", x, without...)
			client := newClient(t, registry.Options{Timeout: timeout, Platforms: platformsOf(t, tt.wanted...)})
			for _, location := range []string{m.Host + "/q/app@" + x.Digest, m.Host + "/q/app:latest"} {
				got := client.Has(t.Context(), location, true)
				presence := registry.Incomplete
				if tt.lacks == "" {
					presence = registry.Present
				}
				if got.Presence != presence || got.Message != want || got.Digest != x.Digest {
					t.Errorf("%s: %+v; want %s, %q", location, got, presence, want)
				}
			}
		})
	}
}

func TestIndexesInEachOtherAreFollowedSoFar(t *testing.T) {
	plugintest.Isolate(t)
	m, x := plugintest.NewMirror(t), plugintest.NewIndex(t, "linux/amd64")
	image := x.Images["linux/amd64"]
	has := func(x *plugintest.Index, without ...string) registry.Answer {
		m.Put(t, "q/app", x, without...)
		return newClient(t, registry.Options{Timeout: timeout}).Has(t.Context(), m.Host+"/q/app@"+x.Digest, true)
	}
	for range 4 {
		x = x.Within(t)
	}
	if got := has(x); got.Presence != registry.Present {
		t.Errorf("%+v", got)
	}
	if got := has(x, image); got.Presence != registry.Incomplete || got.Message != "it lacks the manifest for linux/amd64 "+image {
		t.Errorf("%+v", got)
	}
	innermost := plugintest.NewIndex(t, "linux/amd64")
	x = innermost
	for range 5 {
		x = x.Within(t)
	}
	if got := has(x); got.Presence == registry.Present || got.Message != "it lacks the manifest "+innermost.Digest+" (too many indexes are nested)" {
		t.Errorf("%+v", got)
	}
}

// Some registries say of all manifests that they are something else.
func TestAnIndexIsSeenByItsContent(t *testing.T) {
	plugintest.Isolate(t)
	m, x := plugintest.NewMirror(t), plugintest.NewIndex(t, "linux/amd64", "linux/arm64")
	m.Put(t, "q/app", x, x.Images["linux/arm64"])
	inner := m.Handler
	m.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(&retyped{ResponseWriter: w}, r)
	})
	for _, location := range []string{m.Host + "/q/app@" + x.Digest, m.Host + "/q/app:latest"} {
		if got := newClient(t, registry.Options{Timeout: timeout}).Has(t.Context(), location, true); got.Presence != registry.Incomplete {
			t.Errorf("%s: %+v", location, got)
		}
	}
}

// retyped says that all is of one type.
type retyped struct {
	http.ResponseWriter
}

func (r *retyped) WriteHeader(status int) {
	r.Header().Set("Content-Type", "application/octet-stream")
	r.ResponseWriter.WriteHeader(status)
}

func TestLayersAreAskedForIfWanted(t *testing.T) {
	plugintest.Isolate(t)
	for _, tt := range []struct {
		name   string
		layers bool
		part   func(x *plugintest.Index) string // that is not there
		lacks  string
	}{
		{"all is there", true, nil, ""},
		{"the config is not", true, func(x *plugintest.Index) string { return x.Config }, "it lacks the config "},
		{"a layer is not", true, func(x *plugintest.Index) string { return x.Layer }, "it lacks the layer "},
		{"a layer is not, and nobody asks", false, func(x *plugintest.Index) string { return x.Layer }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, x := plugintest.NewMirror(t), plugintest.NewIndex(t, "linux/amd64", "linux/arm64")
			var without []string
			want := ""
			if tt.part != nil {
				without = append(without, tt.part(x))
			}
			if tt.lacks != "" {
				want = tt.lacks + without[0]
			}
			m.Put(t, "q/app", x, without...)
			for _, location := range []string{m.Host + "/q/app@" + x.Digest, m.Host + "/q/app:latest", m.Host + "/q/app@" + x.Images["linux/amd64"]} {
				if got := newClient(t, registry.Options{Timeout: timeout, Layers: tt.layers}).Has(t.Context(), location, true); got.Message != want || (got.Presence == registry.Present) != (want == "") {
					t.Errorf("%s: %+v; want %q", location, got, want)
				}
			}
		})
	}
}

// A registry may answer HEAD about blobs as it likes, and blobs may lie elsewhere; one that does not answer is not asked again.
func TestWhatHeadLeavesOpenOfALayerIsAskedWithGet(t *testing.T) {
	plugintest.Isolate(t)
	for _, tt := range []struct {
		name   string
		blob   func(w http.ResponseWriter, r *http.Request) bool // whether it answered
		want   registry.Presence
		said   string
		within time.Duration
	}{
		{"no HEAD", func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusMethodNotAllowed)
			}
			return r.Method == http.MethodHead
		}, registry.Present, "", 0},
		{"a store that forbids HEAD", func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusForbidden)
			}
			return r.Method == http.MethodHead
		}, registry.Present, "", 0},
		{"one that is broken", func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}, registry.Incomplete, "500 Internal Server Error", 0},
		{"not for this user", func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusForbidden)
			return true
		}, registry.Incomplete, "(Forbidden: it refuses the credentials stored by podman login and docker login)", 0},
		{"one that hangs", func(_ http.ResponseWriter, r *http.Request) bool {
			<-r.Context().Done()
			return true
		}, registry.Incomplete, "(no answer within 2s)", 2 * timeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, x := plugintest.NewMirror(t), plugintest.NewIndex(t, "linux/amd64", "linux/arm64", "linux/s390x")
			m.Put(t, "q/app", x)
			inner := m.Handler
			m.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.URL.Path, "/blobs/") || !tt.blob(w, r) {
					inner.ServeHTTP(w, r)
				}
			})
			begin := time.Now()
			got := newClient(t, registry.Options{Timeout: timeout, Layers: true}).Has(t.Context(), m.Host+"/q/app@"+x.Digest, true)
			if got.Presence != tt.want || !strings.Contains(got.Message, tt.said) {
				t.Errorf("%+v; want %s, %q", got, tt.want, tt.said)
			}
			if took := time.Since(begin); tt.within > 0 && took > tt.within {
				t.Errorf("it took %s", took)
			}
			if len(got.Lacks) > 1 {
				t.Errorf("it was asked on: %+v", got.Lacks)
			}
		})
	}
}

// Many layers lie behind redirects of their own, which are no circle.
func TestEachRequestMayBeRedirected(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	var platforms []string
	for _, architecture := range []string{"amd64", "arm64", "s390x", "ppc64le", "riscv64", "386"} {
		platforms = append(platforms, "linux/"+architecture)
	}
	x := plugintest.NewIndex(t, platforms...)
	m.Put(t, "q/app", x)
	inner := m.Handler
	m.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") && !strings.Contains(r.URL.RawQuery, "there") {
			http.Redirect(w, r, r.URL.Path+"?there", http.StatusTemporaryRedirect)
			return
		}
		inner.ServeHTTP(w, r)
	})
	if got := newClient(t, registry.Options{Timeout: timeout, Layers: true}).Has(t.Context(), m.Host+"/q/app@"+x.Digest, true); got.Presence != registry.Present {
		t.Errorf("%+v", got)
	}
}

func TestAPartIsAskedForAlone(t *testing.T) {
	plugintest.Isolate(t)
	lacking, other, empty := plugintest.NewMirror(t), plugintest.NewMirror(t), plugintest.NewMirror(t)
	x := plugintest.NewIndex(t, "linux/amd64", "linux/arm64")
	lacking.Put(t, "q/app", x, x.Layer, x.Images["linux/arm64"])
	other.Put(t, "q/app", x)
	client := newClient(t, registry.Options{Timeout: timeout, Layers: true})
	lacks := client.Has(t.Context(), lacking.Host+"/q/app:latest", true).Lacks
	if len(lacks) != 2 || slices.ContainsFunc(lacks, func(p registry.Part) bool { return !p.CanBeElsewhere() }) {
		t.Fatalf("%+v", lacks)
	}
	for _, part := range lacks {
		if client.HasPart(t.Context(), lacking.Host+"/q/app", true, part) || client.HasPart(t.Context(), empty.Host+"/q/app", true, part) || !client.HasPart(t.Context(), other.Host+"/q/app", true, part) {
			t.Errorf("%s", part)
		}
	}
}
