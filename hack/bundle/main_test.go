// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

func TestWhatIsNoReleaseIsRefused(t *testing.T) {
	good := release{version: "v0.1.0", channels: "candidate,fast", image: "registry.example/bundle:v0.1.0", createdAt: "2026-11-25T00:00:00Z"}
	if in, err := good.input(); err != nil || in.Version.String() != "0.1.0" || len(in.Channels) != 2 {
		t.Fatalf("%+v, error %v", in, err)
	}
	for name, c := range map[string]struct {
		change func(*release)
		want   string
	}{
		"no version":         {func(r *release) { r.version = "latest" }, "VERSION=latest: "},
		"a build's version":  {func(r *release) { r.version = "v0.1.0+build1" }, "VERSION=v0.1.0+build1: no tag of an image can have a +"},
		"no image":           {func(r *release) { r.image = "" }, "BUNDLE_IMG is empty"},
		"no channel":         {func(r *release) { r.channels = "" }, "CHANNELS=: want names"},
		"a space":            {func(r *release) { r.channels = "candidate, fast" }, "CHANNELS=candidate, fast: want names"},
		"an odd channel":     {func(r *release) { r.channels = "../x" }, "CHANNELS=../x: want names"},
		"a channel twice":    {func(r *release) { r.channels = "fast,fast" }, "CHANNELS=fast,fast: want names, each once"},
		"a time that is not": {func(r *release) { r.createdAt = "yesterday" }, "CREATED_AT=yesterday: want a time"},
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			c.change(&r)
			if _, err := r.input(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v; want one with %s", err, c.want)
			}
		})
	}
}
