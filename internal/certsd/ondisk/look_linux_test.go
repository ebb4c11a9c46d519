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
	"github.com/mirrorset/mirrorset/internal/hostfile/hostfiletest"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// fileOf is that of a registry which is blocked and has one mirror.
func fileOf() certsd.File {
	rules := []mirrors.Rule{{Source: registry, Blocked: true, Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest}}}}
	return certsd.Project(rules, certsd.Node{}).Files[0]
}

// settled returns a folder with the file, which was looked at when nothing had changed for a while; and where that is.
func settled(t *testing.T) (*ondisk.Folder, string) {
	t.Helper()
	d, at := newFolder(t, ".", nil)
	if written := d.Write(fileOf())[0]; !written.Changed || written.Err != nil {
		t.Fatalf("%+v", written)
	}
	host, err := hostfile.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Close() }()
	hostfiletest.Settle(t, host, folder, folder+"/hosts.toml")
	look(t, d)
	return d, at
}

func look(t *testing.T, d *ondisk.Folder) {
	t.Helper()
	if err := d.Look(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatHasNotChangedIsNotReadAgain(t *testing.T) {
	d, at := settled(t)
	wasOpened := hostfiletest.Opens(t, filepath.Join(at, folder, "hosts.toml"))
	look(t, d)
	if wasOpened() {
		t.Error("the file was opened")
	}
	if ours, err := d.Ours(); !d.Says(fileOf()) || err != nil || !slices.Equal(ours, []string{folder}) {
		t.Errorf("ours are %q, error %v", ours, err)
	}
}

func TestWhatOthersDoInAFolderIsSeen(t *testing.T) {
	for what, change := range map[string]func(t *testing.T, at string) error{
		"an edit that leaves size and time": func(t *testing.T, at string) error { hostfiletest.Edit(t, at+"/hosts.toml"); return nil },
		"another mode":                      func(_ *testing.T, at string) error { return os.Chmod(at+"/hosts.toml", 0o644) },
		"another mode of the folder":        func(_ *testing.T, at string) error { return os.Chmod(at, 0o755) },
		"the end of the file":               func(_ *testing.T, at string) error { return os.Remove(at + "/hosts.toml") },
		"a link in the place of the folder": func(_ *testing.T, at string) error {
			return errors.Join(os.Rename(at, at+"x"), os.Symlink(filepath.Base(at)+"x", at))
		},
		"what a killed process left": func(_ *testing.T, at string) error { return os.WriteFile(at+"/"+leftover, nil, 0o600) },
	} {
		t.Run(what, func(t *testing.T) {
			d, at := settled(t)
			if err := change(t, filepath.Join(at, folder)); err != nil {
				t.Fatal(err)
			}
			if look(t, d); d.Says(fileOf()) {
				t.Error("it is taken for what it was")
			}
		})
	}
	d, at := settled(t)
	if err := os.WriteFile(filepath.Join(at, folder, "ca.crt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if look(t, d); !slices.Equal(d.Certificates(registry).CA, []string{"ca.crt"}) {
		t.Errorf("a certificate that came is not seen: %+v", d.Certificates(registry))
	}
}

func TestWhatIsWrittenAndRemovedIsKnownWithoutALook(t *testing.T) {
	d, _ := newFolder(t, ".", map[string]string{"gone.com/hosts.toml": certsd.Marker})
	file := fileOf()
	if written := d.Write(file)[0]; written.Err != nil {
		t.Fatal(written.Err)
	}
	if removed := d.Remove("gone.com", "never.com"); !removed[0].Changed || removed[0].Err != nil || removed[1].Changed || removed[1].Err != nil {
		t.Errorf("%+v", removed)
	}
	if ours, err := d.Ours(); err != nil || !slices.Equal(ours, []string{folder}) || d.Depends(folder) {
		t.Errorf("ours are %q, error %v, depends %t", ours, err, d.Depends(folder))
	}
	redirected := certsd.Project([]mirrors.Rule{{Source: registry + "/x", Blocked: true}}, certsd.Node{Redirector: "127.0.0.1:289"}).Files[0]
	if written := d.Write(redirected)[0]; written.Err != nil || !d.Depends(folder) {
		t.Errorf("%+v; depends %t", written, d.Depends(folder))
	}
	if look(t, d); !d.Depends(folder) {
		t.Error("by another look it depends no more")
	}
}
