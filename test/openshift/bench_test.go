// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package openshift_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/containers/image/v5/pkg/sysregistriesv2"
	"github.com/openshift/runtime-utils/pkg/registries"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

const (
	// inOneText is how many sources a text has at most; more rules are written in several, as no text of so many is ever published.
	inOneText = 10_000
	// largest is as many sources as rules can have with 2.6 mirrors each ([mirrors.MaxMirrors]). OpenShift's merge would take minutes.
	largest = 100_000
)

// BenchmarkText makes texts of sets of ten entries with three mirrors each, as both have them from the API server. The encoder that
// OpenShift writes its text with is also measured alone, with the configuration at hand.
func BenchmarkText(b *testing.B) {
	for _, sources := range []int{100, 1_000, inOneText, largest} {
		b.Run(fmt.Sprintf("sources=%d", sources), func(b *testing.B) { benchmarkText(b, sources) })
	}
}

func benchmarkText(b *testing.B, sources int) {
	list := setsOfTen(sources)
	run := func(way string, once func(b *testing.B)) {
		b.Run("way="+way, func(b *testing.B) {
			for b.Loop() {
				once(b)
			}
		})
	}
	run("mirrorset", func(b *testing.B) {
		for part := range slices.Chunk(rulesOf(b, list), inOneText) {
			if _, err := registriesconf.Encode(part); err != nil {
				b.Fatal(err)
			}
		}
	})
	if sources < largest {
		sets, err := kinds.Digest.FromList(list)
		if err != nil {
			b.Fatal(err)
		}
		digests, _ := objectsOf(sets)
		run("openshift", func(b *testing.B) {
			var conf sysregistriesv2.V2RegistriesConf
			if err := registries.EditRegistriesConfig(&conf, nil, nil, nil, digests, nil); err != nil {
				b.Fatal(err)
			}
			encode(b, conf)
		})
	}
	conf := configurationOf(rulesOf(b, list))
	run("burntsushi", func(b *testing.B) { encode(b, conf) })
}

// setsOfTen returns sets of ten sources with three mirrors each; the third mirror of four sources is missing where there are [largest] of them.
func setsOfTen(sources int) *configv1.ImageDigestMirrorSetList {
	list := &configv1.ImageDigestMirrorSetList{Items: make([]configv1.ImageDigestMirrorSet, sources/10)}
	for i := range list.Items {
		list.Items[i] = configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("set-%05d", i)}}
		entries := make([]configv1.ImageDigestMirrors, 10)
		for j := range entries {
			entries[j].Source = fmt.Sprintf("r%d.example.com/team-%d", i, j)
			for k := range 3 {
				if sources < largest || j >= 4 || k < 2 {
					entries[j].Mirrors = append(entries[j].Mirrors, configv1.ImageMirror(fmt.Sprintf("mirror%d.example.com:5000/r%d/team-%d", k, i, j)))
				}
			}
		}
		list.Items[i].Spec.ImageDigestMirrors = entries
	}
	return list
}

// rulesOf merges a list of sets as the manager does.
func rulesOf(b *testing.B, list kinds.List) []mirrors.Rule {
	b.Helper()
	sets, err := kinds.Digest.FromList(list)
	if err != nil {
		b.Fatal(err)
	}
	result := kinds.Merge(sets, nil)
	if result.TooLarge || len(result.Findings) > 0 {
		b.Fatalf("too large: %t, with %d findings", result.TooLarge, len(result.Findings))
	}
	return result.Rules
}

// configurationOf returns what OpenShift merges the same sets to.
func configurationOf(rules []mirrors.Rule) (conf sysregistriesv2.V2RegistriesConf) {
	for _, rule := range rules {
		registry := sysregistriesv2.Registry{Endpoint: sysregistriesv2.Endpoint{Location: string(rule.Source)}}
		for _, mirror := range rule.Mirrors {
			registry.Mirrors = append(registry.Mirrors, sysregistriesv2.Endpoint{Location: string(mirror.Location), PullFromMirror: modes[mirror.Modes]})
		}
		conf.Registries = append(conf.Registries, registry)
	}
	return conf
}

// encode writes a configuration as OpenShift does.
func encode(b *testing.B, conf sysregistriesv2.V2RegistriesConf) {
	b.Helper()
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(conf); err != nil {
		b.Fatal(err)
	}
}
