// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/blang/semver/v4"

	"github.com/mirrorset/mirrorset/hack/bundle/olm"
)

// release adds a version to a catalog as `make bundle` does, and returns the catalog as it is written.
func release(t *testing.T, catalog []byte, version string, channels ...string) ([]byte, error) {
	t.Helper()
	files := first(t)
	c, err := olm.ReadCatalog(catalog)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.MakeRoom(semver.MustParse(version), channels); err != nil {
		return nil, err
	}
	defaultChannel := c.DefaultChannel(channels)
	replaces, err := c.Head(defaultChannel)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(files[csv].Data), "0.1.0-dev", version)
	if replaces != "" {
		text = strings.Replace(text, "\n  version: ", "\n  replaces: "+replaces+"\n  version: ", 1)
	}
	files[csv] = &fstest.MapFile{Data: []byte(text)}
	bundle, err := olm.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Add(bundle, "bundle:v"+version, channels, defaultChannel); err != nil {
		return nil, err
	}
	for _, err := range bundle.Check() {
		t.Errorf("%s: %v", version, err)
	}
	content, err := c.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return content, nil
}

// graph is what a catalog's channels are, in short.
func graph(t *testing.T, catalog []byte) string {
	t.Helper()
	c, err := olm.ReadCatalog(catalog)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, channel := range c.Channels {
		line := channel.Name + ":"
		for _, e := range channel.Entries {
			line += fmt.Sprintf(" %s<%s", strings.TrimPrefix(e.Name, "mirrorset.v"), strings.TrimPrefix(e.Replaces, "mirrorset.v"))
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestReleasesFollowEachOther(t *testing.T) {
	var catalog []byte
	for _, step := range []struct {
		version, channels, want string
	}{
		{"0.1.0-dev", "candidate,fast,stable", "candidate: 0.1.0-dev<\nfast: 0.1.0-dev<\nstable: 0.1.0-dev<"},
		{"0.1.0", "candidate", "candidate: 0.1.0<"},
		{"0.1.0", "candidate,fast,stable", "candidate: 0.1.0<\nfast: 0.1.0<\nstable: 0.1.0<"},
		{"0.2.0-dev", "candidate,fast,stable", "candidate: 0.1.0< 0.2.0-dev<0.1.0\nfast: 0.1.0< 0.2.0-dev<0.1.0\nstable: 0.1.0< 0.2.0-dev<0.1.0"},
		{"0.2.0-rc.1", "candidate", "candidate: 0.1.0< 0.2.0-rc.1<0.1.0\nfast: 0.1.0<\nstable: 0.1.0<"},
		{"0.2.0-dev", "candidate,fast,stable", "candidate: 0.1.0< 0.2.0-rc.1<0.1.0 0.2.0-dev<0.2.0-rc.1\nfast: 0.1.0< 0.2.0-dev<0.1.0\nstable: 0.1.0< 0.2.0-dev<0.1.0"},
		{"0.2.0", "candidate,fast", "candidate: 0.1.0< 0.2.0-rc.1<0.1.0 0.2.0<0.2.0-rc.1\nfast: 0.1.0< 0.2.0<0.1.0\nstable: 0.1.0<"},
		{"0.2.0", "candidate,fast,stable", "candidate: 0.1.0< 0.2.0-rc.1<0.1.0 0.2.0<0.2.0-rc.1\nfast: 0.1.0< 0.2.0<0.1.0\nstable: 0.1.0< 0.2.0<0.1.0"},
		{"0.3.0", "candidate", "candidate: 0.1.0< 0.2.0-rc.1<0.1.0 0.2.0<0.2.0-rc.1 0.3.0<0.2.0\nfast: 0.1.0< 0.2.0<0.1.0\nstable: 0.1.0< 0.2.0<0.1.0"},
		{"0.4.0", "candidate", "candidate: 0.1.0< 0.2.0-rc.1<0.1.0 0.2.0<0.2.0-rc.1 0.3.0<0.2.0 0.4.0<0.3.0\nfast: 0.1.0< 0.2.0<0.1.0\nstable: 0.1.0< 0.2.0<0.1.0"},
		{"0.3.0", "fast,stable", "candidate: 0.1.0< 0.2.0-rc.1<0.1.0 0.2.0<0.2.0-rc.1 0.3.0<0.2.0 0.4.0<0.3.0\nfast: 0.1.0< 0.2.0<0.1.0 0.3.0<0.2.0\nstable: 0.1.0< 0.2.0<0.1.0 0.3.0<0.2.0"},
	} {
		next, err := release(t, catalog, step.version, strings.Split(step.channels, ",")...)
		if err != nil {
			t.Fatal(err)
		}
		if got := graph(t, next); got != step.want {
			t.Errorf("after %s in %s the channels are\n%s\nwant\n%s", step.version, step.channels, got, step.want)
		}
		again, err := release(t, next, step.version, strings.Split(step.channels, ",")...)
		if err != nil || string(again) != string(next) {
			t.Errorf("%s twice is not the same as once: %v", step.version, err)
		}
		catalog = next
	}
	const followed = "channel candidate: mirrorset.v0.4.0 replaces mirrorset.v0.3.0 there, so it cannot be made again"
	if _, err := release(t, catalog, "0.3.0", "candidate", "stable"); err == nil || !strings.Contains(err.Error(), followed) {
		t.Errorf("the error is %v; want one with %s", err, followed)
	}
	const want = "channel stable has mirrorset.v0.3.0 at its head, which mirrorset.v0.1.1 is no upgrade of; give other CHANNELS, or a higher VERSION"
	if _, err := release(t, catalog, "0.1.1", "stable"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v; want one with %s", err, want)
	}
	foreign := strings.ReplaceAll(string(catalog), "- name: mirrorset.v0.3.0\n", "- name: other\n")
	if _, err := release(t, []byte(foreign), "0.5.0", "fast"); err == nil || !strings.Contains(err.Error(), `bundle "other": its name wants to be mirrorset.v and a version`) {
		t.Errorf("the error is %v; want one about the name other", err)
	}
	broken := strings.Replace(string(catalog), "- name: mirrorset.v0.1.0\n", "- name: mirrorset.v0.1.0\n- name: mirrorset.v0.0.9\n", 1)
	if _, err := release(t, []byte(broken), "0.5.0", "candidate"); err == nil || !strings.Contains(err.Error(), "channel candidate has the heads") {
		t.Errorf("the error is %v; want one about two heads", err)
	}
}
