// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/hostfile/hostfiletest"
)

// changes are the changes that another program may make to a file with the content [newer], and to its folder.
var changes = map[string]func(t *testing.T, name string) error{
	"an edit that leaves size and time": func(t *testing.T, name string) error { hostfiletest.Edit(t, name); return nil },
	"another mode":                      func(_ *testing.T, name string) error { return os.Chmod(name, 0o640) },
	"another file in its place": func(_ *testing.T, name string) error {
		return errors.Join(os.WriteFile(name+"x", []byte(newer), 0o644), os.Rename(name+"x", name))
	},
	"a link to a copy": func(_ *testing.T, name string) error {
		return errors.Join(os.Rename(name, name+"x"), os.Symlink(name+"x", name))
	},
	"its end": func(_ *testing.T, name string) error { return os.Remove(name) },
}

func TestAStampTellsEachChange(t *testing.T) {
	for what, change := range changes {
		t.Run(what, func(t *testing.T) {
			h, root := open(t)
			put(t, root, filePath, newer)
			if _, known := h.Stamp(filePath); known {
				t.Error("the stamp of a file that was just written is taken for one that tells the next change")
			}
			hostfiletest.Settle(t, h, filePath)
			before, _ := h.Stamp(filePath)
			if again, known := h.Stamp(filePath); !known || again != before {
				t.Errorf("without a change: %+v, then %+v", before, again)
			}
			if err := change(t, filepath.Join(root, filePath)); err != nil {
				t.Fatal(err)
			}
			if after, _ := h.Stamp(filePath); after == before {
				t.Errorf("before and after: %+v", after)
			}
		})
	}
}

func TestTheStampOfAFolderTellsWhatComesAndGoes(t *testing.T) {
	h, root := open(t)
	put(t, root, filePath, newer)
	for what, change := range map[string]func() error{
		"a file that comes": func() error { return os.WriteFile(filepath.Join(root, dir, "new"), nil, 0o644) },
		"a file that goes":  func() error { return os.Remove(filepath.Join(root, filePath)) },
	} {
		hostfiletest.Settle(t, h, dir)
		before, _ := h.Stamp(dir)
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if after, _ := h.Stamp(dir); after == before {
			t.Errorf("%s: before and after %+v", what, after)
		}
	}
}

// replaceUntilKnown makes a host read the file once its stamp shows every change.
func replaceUntilKnown(t *testing.T, h *hostfile.Host) {
	t.Helper()
	for range 2 {
		if _, err := h.Replace(file, []byte(newer)); err != nil {
			t.Fatal(err)
		}
		hostfiletest.Settle(t, h, filePath)
	}
	if changed, err := h.Replace(file, []byte(newer)); changed || err != nil {
		t.Fatalf("changed %t, error %v", changed, err)
	}
}

func TestAFileThatIsKnownIsNotRead(t *testing.T) {
	h, root := open(t)
	replaceUntilKnown(t, h)
	wasOpened := hostfiletest.Opens(t, filepath.Join(root, filePath))
	if changed, err := h.Replace(file, []byte(newer)); changed || err != nil || wasOpened() {
		t.Errorf("changed %t, error %v, or opened", changed, err)
	}
	if changed, err := h.Replace(file, []byte(older)); !changed || err != nil {
		t.Errorf("another content: changed %t, error %v", changed, err)
	}
	wantFile(t, root, filePath, older)
}

func TestWhatBecomesOfAFileThatIsKnownIsNoticed(t *testing.T) {
	for what, change := range changes {
		t.Run(what, func(t *testing.T) {
			h, root := open(t)
			replaceUntilKnown(t, h)
			if err := change(t, filepath.Join(root, filePath)); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Lstat(filePath); err == nil {
				hostfiletest.Settle(t, h, filePath) // so that the stamp alone tells it
			}
			changed, err := h.Replace(file, []byte(newer))
			switch what {
			case "a link to a copy":
				if changed || !errors.Is(err, hostfile.ErrForeign) {
					t.Errorf("changed %t, error %v", changed, err)
				}
			case "another file in its place": // which says the same
				if changed || err != nil {
					t.Errorf("changed %t, error %v", changed, err)
				}
			default:
				if !changed || err != nil {
					t.Errorf("changed %t, error %v", changed, err)
				}
				wantFile(t, root, filePath, newer)
			}
		})
	}
}
