// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mirrorset/mirrorset/internal/hostfile"
)

func TestNoPathLeadsOutOfTheRoot(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, root string)
		path    string
	}{
		"a parent is a link with dots":       {func(t *testing.T, root string) { link(t, "../outside", root, "etc") }, filePath},
		"a parent is a link from the root":   {func(t *testing.T, root string) { link(t, filepath.Join(root, "../outside"), root, "etc") }, filePath},
		"the folder is a link with dots":     {func(t *testing.T, root string) { link(t, "../../outside", root, dir) }, filePath},
		"a link leads to a link that does":   {func(t *testing.T, root string) { link(t, "b", root, "etc"); link(t, "../outside", root, "b") }, filePath},
		"a parent is a link to nothing":      {func(t *testing.T, root string) { link(t, "nowhere", root, "etc") }, filePath},
		"a parent is a file":                 {func(t *testing.T, root string) { put(t, root, "etc", "theirs") }, filePath},
		"the path has dots":                  {func(*testing.T, string) {}, "../outside/50-ours.conf"},
		"the path has dots behind a folder":  {func(t *testing.T, root string) { mkdir(t, root, "etc") }, "etc/../../outside/50-ours.conf"},
		"the path begins at the host's root": {func(*testing.T, string) {}, "/etc/50-ours.conf"},
	} {
		t.Run(name, func(t *testing.T) {
			h, root := open(t)
			mkdir(t, root, "../outside")
			tc.prepare(t, root)
			before := describe(t, filepath.Dir(root))
			f := hostfile.File{Path: tc.path, Marker: marker}
			if changed, err := h.Replace(f, []byte(newer)); err == nil || changed {
				t.Errorf("Replace: changed = %t, error %v", changed, err)
			}
			if changed, err := h.ReplaceInFolder(f, []byte(newer)); err == nil || changed {
				t.Errorf("ReplaceInFolder: changed = %t, error %v", changed, err)
			}
			if _, err := h.Lock(t.Context(), tc.path); err == nil {
				t.Error("Lock: no error")
			}
			if after := describe(t, filepath.Dir(root)); after != before {
				t.Errorf("got\n%swant\n%s", after, before)
			}
			put(t, root, "../outside/50-ours.conf", older)
			put(t, root, "../outside/drop-ins/50-ours.conf", older)
			if changed, err := h.Remove(f); changed {
				t.Errorf("Remove: changed = %t, error %v", changed, err)
			}
			if changed, err := h.RemoveWithFolder(f); changed {
				t.Errorf("RemoveWithFolder: changed = %t, error %v", changed, err)
			}
			if got, err := h.Read(f); err == nil {
				t.Errorf("Read: %q", got)
			}
			wantFile(t, root, "../outside/50-ours.conf", older)
			wantFile(t, root, "../outside/drop-ins/50-ours.conf", older)
		})
	}
}

func TestModesDoNotDependOnTheUmask(t *testing.T) {
	h, root := open(t)
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	if _, err := h.Replace(file, []byte(newer)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{filePath: 0o644, dir: 0o755, "etc": 0o755} {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %v, want %v", name, got, want)
		}
	}
}

func TestReplaceMakesTheFileReadableAgain(t *testing.T) {
	h, root := open(t)
	put(t, root, filePath, newer)
	name := filepath.Join(root, filePath)
	if err := os.Chmod(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := h.Replace(file, []byte(newer)); err != nil || !changed {
		t.Fatalf("changed = %t, error %v", changed, err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	wantFile(t, root, filePath, newer)
}

func TestAPrivateFileIsNeverReadableForOthers(t *testing.T) {
	h, root := open(t)
	private := hostfile.File{Path: filePath, Private: true}
	stop := repeat(func() error {
		for _, name := range []string{filePath, filePath + ".mirrorset-tmp"} {
			var stat syscall.Stat_t // os.Stat would be written down by the testing package, thousands of times
			if err := syscall.Stat(filepath.Join(root, name), &stat); err == nil && stat.Mode&0o077 != 0 {
				return fmt.Errorf("%s has mode %o", name, stat.Mode)
			}
		}
		return nil
	})
	old := syscall.Umask(0)
	for i := range 200 {
		if changed, err := h.Replace(private, []byte(strings.Repeat("x", i))); err != nil || !changed {
			t.Errorf("changed = %t, error %v", changed, err)
		}
	}
	syscall.Umask(old)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(filepath.Join(root, filePath), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} { // one that somebody opened is put right
		if changed, err := h.Replace(private, []byte(strings.Repeat("x", 199))); err != nil || changed != want {
			t.Errorf("changed = %t, error %v, want %t", changed, err, want)
		}
	}
	if info, err := os.Stat(filepath.Join(root, filePath)); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if changed, err := h.ReplaceInFolder(hostfile.File{Path: quayFile, Private: true}, []byte(newer)); err != nil || !changed {
		t.Fatalf("changed = %t, error %v", changed, err)
	}
	if info, err := os.Stat(filepath.Join(root, quayFile)); err != nil || info.Mode() != 0o600 {
		t.Errorf("in a folder: %v, %v", info, err)
	}
}

func TestFoldersOfOthersKeepTheirMode(t *testing.T) {
	h, root := open(t)
	mkdir(t, root, dir)
	if err := os.Chmod(filepath.Join(root, dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Replace(file, []byte(newer)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(root, dir)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestAWriteThatFailsLeavesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		have, want tree
		replace    func(h *hostfile.Host, content []byte) (changed bool, err error)
	}{
		"of a file":   {tree{filePath: older}, tree{filePath: older}, func(h *hostfile.Host, content []byte) (bool, error) { return h.Replace(file, content) }},
		"of a folder": {none, none, func(h *hostfile.Host, content []byte) (bool, error) { return h.ReplaceInFolder(hosts, content) }},
	} {
		t.Run(name, func(t *testing.T) {
			h, root := open(t)
			tc.have.put(t, root)
			var limit syscall.Rlimit
			if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
				t.Fatal(err)
			}
			small := limit
			small.Cur = 1 << 20
			if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
				t.Fatal(err)
			}
			changed, err := tc.replace(h, append([]byte(marker), make([]byte, 2<<20)...))
			if restored := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); restored != nil {
				t.Fatal(restored)
			}
			if !errors.Is(err, syscall.EFBIG) || changed {
				t.Errorf("changed = %t, error %v", changed, err)
			}
			wantTree(t, root, tc.want)
		})
	}
}

func TestAHostThatIsNotThereCannotBeOpened(t *testing.T) {
	if _, err := hostfile.Open(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
