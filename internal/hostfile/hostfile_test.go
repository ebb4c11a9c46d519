// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mirrorset/mirrorset/internal/hostfile"
)

const (
	marker   = "# ours\n"
	dir      = "etc/drop-ins"
	filePath = dir + "/50-ours.conf"
	tempPath = filePath + ".mirrorset-tmp"
	older    = marker + "old\n"
	newer    = marker + "new\n"
)

var file = hostfile.File{Path: filePath, Marker: marker}

// open returns a host in a folder of its own, and the folder.
func open(t *testing.T) (*hostfile.Host, string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	h, err := hostfile.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, root
}

// put writes a file as another program would.
func put(t *testing.T, root, name, content string) {
	t.Helper()
	name = filepath.Join(root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// link makes a symbolic link.
func link(t *testing.T, target, root, name string) {
	t.Helper()
	name = filepath.Join(root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.Symlink(target, name)); err != nil {
		t.Fatal(err)
	}
}

// wantFile checks a regular file's content, where "" stands for no file.
func wantFile(t *testing.T, root, name, want string) {
	t.Helper()
	name = filepath.Join(root, name)
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) && want == "" {
		return
	}
	if err != nil || !info.Mode().IsRegular() {
		t.Fatalf("%s: %v, %v; want a regular file", name, info, err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != want {
		t.Errorf("%s has %d bytes %.40q (error %v), want %q", name, len(got), got, err, want)
	}
}

func TestReplaceWritesTheFile(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, root string)
		changed bool
	}{
		"where there is nothing":                   {func(*testing.T, string) {}, true},
		"where the folder is there":                {func(t *testing.T, root string) { put(t, root, dir+"/99-theirs.conf", "x") }, true},
		"over an older one of ours":                {func(t *testing.T, root string) { put(t, root, filePath, older) }, true},
		"over a longer one of ours":                {func(t *testing.T, root string) { put(t, root, filePath, newer+newer) }, true},
		"but not over the same":                    {func(t *testing.T, root string) { put(t, root, filePath, newer) }, false},
		"where a killed process left its file":     {func(t *testing.T, root string) { put(t, root, tempPath, marker+"ne") }, true},
		"where its temporary name is a link":       {func(t *testing.T, root string) { link(t, "../../opt/victim", root, tempPath) }, true},
		"where that link leads out of the root":    {func(t *testing.T, root string) { link(t, "../../../victim", root, tempPath) }, true},
		"where its temporary name is a hard link":  {hardLink, true},
		"where its temporary name is a folder":     {func(t *testing.T, root string) { put(t, root, dir+"/x", ""); mkdir(t, root, tempPath) }, true},
		"where a parent is a link inside the root": {func(t *testing.T, root string) { mkdir(t, root, "usr/etc"); link(t, "usr/etc", root, "etc") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			h, root := open(t)
			put(t, root, "../victim", "theirs")
			put(t, root, "opt/victim", "theirs")
			tc.prepare(t, root)
			changed, err := h.Replace(file, []byte(newer))
			if err != nil || changed != tc.changed {
				t.Fatalf("changed = %t, error %v; want changed = %t", changed, err, tc.changed)
			}
			wantFile(t, root, filePath, newer)
			wantFile(t, root, tempPath, "")
			wantFile(t, root, "../victim", "theirs")
			wantFile(t, root, "opt/victim", "theirs")
			if changed, err := h.Replace(file, []byte(newer)); err != nil || changed {
				t.Errorf("the second time: changed = %t, error %v", changed, err)
			}
		})
	}
}

// hardLink makes the temporary name another name of a foreign file.
func hardLink(t *testing.T, root string) {
	mkdir(t, root, dir)
	if err := os.Link(filepath.Join(root, "opt/victim"), filepath.Join(root, tempPath)); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, root, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNotOursIsLeftAlone(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, root string){
		"a file of others":                func(t *testing.T, root string) { put(t, root, filePath, "theirs") },
		"an empty file":                   func(t *testing.T, root string) { put(t, root, filePath, "") },
		"a file with part of our marker":  func(t *testing.T, root string) { put(t, root, filePath, marker[:3]) },
		"our marker but not at the start": func(t *testing.T, root string) { put(t, root, filePath, "\n"+newer) },
		"a folder":                        func(t *testing.T, root string) { mkdir(t, root, filePath) },
		"a link to a file like ours":      func(t *testing.T, root string) { put(t, root, "x", older); link(t, "../../x", root, filePath) },
		"a link that leads nowhere":       func(t *testing.T, root string) { link(t, "nowhere", root, filePath) },
		"a link that leads out":           func(t *testing.T, root string) { link(t, "../../../victim", root, filePath) },
		"a pipe":                          pipe,
	} {
		t.Run(name, func(t *testing.T) {
			h, root := open(t)
			prepare(t, root)
			before := describe(t, root)
			if changed, err := h.Replace(file, []byte(newer)); !errors.Is(err, hostfile.ErrForeign) || changed {
				t.Errorf("Replace: changed = %t, error %v", changed, err)
			}
			if changed, err := h.Remove(file); !errors.Is(err, hostfile.ErrForeign) || changed {
				t.Errorf("Remove: changed = %t, error %v", changed, err)
			}
			if _, err := h.Read(file); !errors.Is(err, hostfile.ErrForeign) {
				t.Errorf("Read: error %v", err)
			}
			if after := describe(t, root); after != before {
				t.Errorf("got\n%swant\n%s", after, before)
			}
		})
	}
}

func pipe(t *testing.T, root string) {
	mkdir(t, root, dir)
	if err := syscall.Mkfifo(filepath.Join(root, filePath), 0o644); err != nil {
		t.Fatal(err)
	}
}

// describe lists everything below the root with its mode, and the content of regular files.
func describe(t *testing.T, root string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		out.WriteString(strings.TrimPrefix(name, root) + " " + entry.Type().String())
		if entry.Type().IsRegular() {
			content, err := os.ReadFile(name)
			out.WriteString(" " + string(content))
			return err
		}
		out.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRemove(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, root string)
		changed bool
	}{
		"without a file and its folder":         {func(*testing.T, string) {}, false},
		"without a file":                        {func(t *testing.T, root string) { mkdir(t, root, dir) }, false},
		"our file":                              {func(t *testing.T, root string) { put(t, root, filePath, older) }, true},
		"what a killed process left":            {func(t *testing.T, root string) { put(t, root, tempPath, older) }, false},
		"our file and what one left beside it":  {func(t *testing.T, root string) { put(t, root, filePath, older); put(t, root, tempPath, older) }, true},
		"a temporary name that is a link":       {func(t *testing.T, root string) { link(t, "../../opt/99-theirs.conf", root, tempPath) }, false},
		"our file beside a file without marker": {func(t *testing.T, root string) { put(t, root, filePath, older); put(t, root, tempPath, "x") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			h, root := open(t)
			put(t, root, "opt/99-theirs.conf", "theirs")
			tc.prepare(t, root)
			if changed, err := h.Remove(file); err != nil || changed != tc.changed {
				t.Fatalf("changed = %t, error %v; want changed = %t", changed, err, tc.changed)
			}
			wantFile(t, root, filePath, "")
			wantFile(t, root, tempPath, "")
			wantFile(t, root, "opt/99-theirs.conf", "theirs")
			if _, err := h.Read(file); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Read: %v", err)
			}
		})
	}
}
