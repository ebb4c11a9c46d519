// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package ondisk_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/certsd/ondisk"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

const (
	registry = "s.com:5000"
	folder   = "s.com_5000_"
	leftover = "hosts.toml.mirrorset-tmp"
)

// newFolder returns the folder at dir below a new root, with these files in it, and where it is.
func newFolder(t *testing.T, dir string, have map[string]string) (*ondisk.Folder, string) {
	t.Helper()
	root := t.TempDir()
	at := filepath.Join(root, dir)
	for name, content := range have {
		name = filepath.Join(at, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	host, err := hostfile.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	d := ondisk.At(host, dir)
	if err := d.Look(); err != nil {
		t.Fatal(err)
	}
	return d, at
}

func TestOnlyWhatOthersPutThereIsInTheWay(t *testing.T) {
	file := certsd.Project([]mirrors.Rule{{Source: registry, Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest}}}}, certsd.Node{}).Files[0]
	for name, c := range map[string]struct {
		have    map[string]string
		foreign string
	}{
		"nothing":                         {nil, ""},
		"an older file of ours":           {map[string]string{folder + "/hosts.toml": certsd.Marker}, ""},
		"a leftover":                      {map[string]string{folder + "/" + leftover: "half"}, ""},
		"a leftover by the other name":    {map[string]string{registry + "/" + leftover: "half"}, ""},
		"certificates":                    {map[string]string{folder + "/ca.crt": ""}, ""},
		"certificates by the other name":  {map[string]string{registry + "/ca.crt": ""}, registry + "/ca.crt"},
		"what is no certificate":          {map[string]string{folder + "/README": ""}, folder + "/README"},
		"a file of others":                {map[string]string{folder + "/hosts.toml": "server = \"https://theirs\"\n"}, folder + "/hosts.toml"},
		"a file in the place of a folder": {map[string]string{folder: ""}, folder},
	} {
		for _, dir := range []string{".", "etc/containerd/certs.d"} {
			d, at := newFolder(t, dir, c.have)
			written := d.Write(file)[0]
			changed, err := written.Changed, written.Err
			if c.foreign != "" {
				if theirs, ok := errors.AsType[*ondisk.Foreign](err); !ok || changed || theirs.Path != filepath.Join(dir, c.foreign) {
					t.Errorf("%s in %s: changed %t, error %v", name, dir, changed, err)
				}
				continue
			}
			if content, errRead := os.ReadFile(filepath.Join(at, file.Path)); err != nil || !changed || string(content) != string(file.Content) {
				t.Errorf("%s in %s: changed %t, error %v, got %s, error %v", name, dir, changed, err, content, errRead)
			}
			if again := d.Write(file)[0]; again.Changed || again.Err != nil {
				t.Errorf("%s in %s: written again: changed %t, error %v", name, dir, again.Changed, again.Err)
			}
		}
	}
}

func TestFoldersThatHideTheDefaultHostAreNamed(t *testing.T) {
	d, _ := newFolder(t, ".", map[string]string{
		"a.wild.com/ca.crt": "", "b.wild.com/hosts.toml": certsd.Marker, ".c.wild.com.mirrorset-tmp/hosts.toml": certsd.Marker, "else.com/ca.crt": "",
	})
	hidden := d.Hidden(route.NewRouter([]mirrors.Rule{{Source: "*.wild.com", Blocked: true}}))
	if want := []ondisk.Hidden{{Path: "a.wild.com", Host: "a.wild.com", Wildcard: "*.wild.com"}}; !slices.Equal(hidden, want) {
		t.Errorf("got %+v", hidden)
	}
	if ours, err := d.Ours(); err != nil || !slices.Equal(ours, []string{"b.wild.com"}) {
		t.Errorf("ours are %q, error %v", ours, err)
	}
}
