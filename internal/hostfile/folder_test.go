// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mirrorset/mirrorset/internal/hostfile"
)

const (
	certs     = "certs.d"
	quay      = certs + "/quay.io"
	quayFile  = quay + "/hosts.toml"
	quayTemp  = quayFile + ".mirrorset-tmp"
	quayCA    = quay + "/ca.crt"
	aside     = certs + "/.quay.io.mirrorset-tmp"
	asideFile = aside + "/hosts.toml"
	asideTemp = asideFile + ".mirrorset-tmp"
)

var hosts = hostfile.File{Path: quayFile, Marker: marker}

// tree is the content of files by path. A path that ends in a slash is a folder with nothing in it.
type tree map[string]string

// none is the directory without a folder in it.
var none = tree{certs + "/": ""}

func (tr tree) put(t *testing.T, root string) {
	t.Helper()
	for name, content := range tr {
		if strings.HasSuffix(name, "/") {
			mkdir(t, root, name)
		} else {
			put(t, root, name, content)
		}
	}
}

// treeOf is everything below the root, without the names that skip leaves out.
func treeOf(t *testing.T, root string, skip func(name string) bool) tree {
	t.Helper()
	got := tree{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		if skip != nil && skip(entry.Name()) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		rel := strings.TrimPrefix(name, root+"/")
		delete(got, filepath.Dir(rel)+"/")
		if entry.IsDir() {
			got[rel+"/"] = ""
			return nil
		}
		content, err := os.ReadFile(name)
		got[rel] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantTree(t *testing.T, root string, want tree) {
	t.Helper()
	if got := treeOf(t, root, nil); !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReplaceInFolderLeavesTheFolderWithTheFile(t *testing.T) {
	whole := tree{quayFile: newer}
	for name, tc := range map[string]struct {
		have, want tree
		changed    bool
	}{
		"where there is nothing":                               {tree{}, whole, true},
		"where the folder is empty":                            {tree{quay + "/": ""}, whole, true},
		"where the folder has what a killed process left":      {tree{quayTemp: marker + "ne"}, whole, true},
		"over an older file":                                   {tree{quayFile: older}, whole, true},
		"but not over the same":                                {tree{quayFile: newer}, whole, false},
		"but not over the same beside what was left":           {tree{quayFile: newer, quayTemp: "#"}, whole, false},
		"beside what others put there":                         {tree{quayCA: "theirs"}, tree{quayFile: newer, quayCA: "theirs"}, true},
		"over an older file beside that":                       {tree{quayFile: older, quayCA: "x"}, tree{quayFile: newer, quayCA: "x"}, true},
		"where an empty folder has its temporary name":         {tree{quayTemp + "/": ""}, whole, true},
		"where a create was killed while it wrote":             {tree{asideTemp: marker[:2]}, whole, true},
		"where a create was killed once it had written":        {tree{asideFile: older}, whole, true},
		"where a removal was killed before it emptied":         {tree{asideFile: older, asideTemp: ""}, whole, true},
		"where a removal was killed before the end":            {tree{aside + "/": ""}, whole, true},
		"where a killed process left a folder beside the file": {tree{asideFile: older, quayFile: newer}, whole, false},
		"where a file has the folder's temporary name":         {tree{aside: "x"}, whole, true},
		"where another folder has a temporary name":            {tree{certs + "/.x.mirrorset-tmp/": ""}, tree{quayFile: newer, certs + "/.x.mirrorset-tmp/": ""}, true},
	} {
		t.Run(name, func(t *testing.T) {
			h, root := open(t)
			tc.have.put(t, root)
			changed, err := h.ReplaceInFolder(hosts, []byte(newer))
			if err != nil || changed != tc.changed {
				t.Fatalf("changed = %t, error %v; want changed = %t", changed, err, tc.changed)
			}
			wantTree(t, root, tc.want)
			if changed, err := h.ReplaceInFolder(hosts, []byte(newer)); err != nil || changed {
				t.Errorf("the second time: changed = %t, error %v", changed, err)
			}
		})
	}
}

func TestRemoveWithFolderLeavesNothingOfOurs(t *testing.T) {
	for name, tc := range map[string]struct {
		have, want tree
		changed    bool
	}{
		"where there is nothing":                               {tree{}, tree{}, false},
		"where the file is alone":                              {tree{quayFile: older}, none, true},
		"where a killed process left something beside it":      {tree{quayFile: older, quayTemp: "#"}, none, true},
		"where a killed process left nothing else":             {tree{quayTemp: "#"}, none, false},
		"where an empty folder has the temporary name":         {tree{quayFile: older, quayTemp + "/": ""}, none, true},
		"where others put something beside it":                 {tree{quayFile: older, quayCA: "x"}, tree{quayCA: "x"}, true},
		"where others put something beside what was left":      {tree{quayTemp: "#", quayCA: "x"}, tree{quayCA: "x"}, false},
		"where others have a temporary file beside it":         {tree{quayFile: older, quay + "/x.mirrorset-tmp": "x"}, tree{quay + "/x.mirrorset-tmp": "x"}, true},
		"where others put a folder beside it":                  {tree{quayFile: older, quay + "/x/": ""}, tree{quay + "/x/": ""}, true},
		"where the folder is empty and may be theirs":          {tree{quay + "/": ""}, tree{quay + "/": ""}, false},
		"where a create was killed while it wrote":             {tree{asideTemp: marker[:2]}, none, false},
		"where a removal was killed before it emptied":         {tree{asideFile: older, asideTemp: ""}, none, false},
		"where a removal was killed before the end":            {tree{aside + "/": ""}, none, false},
		"where a killed process left a folder beside the file": {tree{asideFile: older, quayFile: older}, none, true},
		"where others have a folder beside it":                 {tree{quayFile: older, certs + "/docker.io/x": "x"}, tree{certs + "/docker.io/x": "x"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			h, root := open(t)
			tc.have.put(t, root)
			if changed, err := h.RemoveWithFolder(hosts); err != nil || changed != tc.changed {
				t.Fatalf("changed = %t, error %v; want changed = %t", changed, err, tc.changed)
			}
			wantTree(t, root, tc.want)
			if changed, err := h.RemoveWithFolder(hosts); err != nil || changed {
				t.Errorf("the second time: changed = %t, error %v", changed, err)
			}
		})
	}
}

func TestAFolderWithWhatIsNotOursIsLeftAlone(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, root string){
		"a file of others":                         func(t *testing.T, root string) { put(t, root, quayFile, "theirs") },
		"a folder in the file's place":             func(t *testing.T, root string) { put(t, root, quayFile+"/x", "theirs") },
		"a file of others beside our leftovers":    func(t *testing.T, root string) { tree{quayFile: "theirs", quayTemp: "#", asideTemp: "#"}.put(t, root) },
		"a file in the folder's place":             func(t *testing.T, root string) { put(t, root, quay, marker) },
		"a link to a folder like ours":             func(t *testing.T, root string) { put(t, root, "x/hosts.toml", older); link(t, "../x", root, quay) },
		"a link to an empty folder":                func(t *testing.T, root string) { mkdir(t, root, "x"); link(t, "../x", root, quay) },
		"a link that leads nowhere":                func(t *testing.T, root string) { link(t, "nowhere", root, quay) },
		"a link that leads out":                    func(t *testing.T, root string) { link(t, "../../outside", root, quay) },
		"a parent that leads out":                  func(t *testing.T, root string) { link(t, "../outside", root, certs) },
		"a temporary folder with a file of others": func(t *testing.T, root string) { tree{aside + "/x": "theirs", asideFile: older}.put(t, root) },
		"a temporary folder with others' hosts":    func(t *testing.T, root string) { put(t, root, asideFile, "theirs") },
		"a temporary folder with a folder":         func(t *testing.T, root string) { mkdir(t, root, aside+"/x") },
	} {
		t.Run(name, func(t *testing.T) {
			h, root := open(t)
			put(t, root, "../outside/hosts.toml", older)
			put(t, root, "../outside/quay.io/hosts.toml", older)
			prepare(t, root)
			before := describe(t, filepath.Dir(root))
			leadsOut := name == "a parent that leads out"
			if changed, err := h.ReplaceInFolder(hosts, []byte(newer)); err == nil || !errors.Is(err, hostfile.ErrForeign) && !leadsOut || changed {
				t.Errorf("ReplaceInFolder: changed = %t, error %v", changed, err)
			}
			if changed, err := h.RemoveWithFolder(hosts); err == nil || !errors.Is(err, hostfile.ErrForeign) && !leadsOut || changed {
				t.Errorf("RemoveWithFolder: changed = %t, error %v", changed, err)
			}
			if after := describe(t, filepath.Dir(root)); after != before {
				t.Errorf("got\n%swant\n%s", after, before)
			}
		})
	}
}

func TestATemporaryNameThatIsALinkIsNotFollowed(t *testing.T) {
	h, root := open(t)
	put(t, root, "x/hosts.toml", older)
	link(t, "../x", root, aside)
	if _, err := h.ReplaceInFolder(hosts, []byte(newer)); err != nil {
		t.Error(err)
	}
	wantTree(t, root, tree{quayFile: newer, "x/hosts.toml": older})
	link(t, "../x", root, aside)
	if _, err := h.RemoveWithFolder(hosts); err != nil {
		t.Error(err)
	}
	wantTree(t, root, tree{certs + "/": "", "x/hosts.toml": older})
}

func TestAFolderMayHaveTheLongestName(t *testing.T) {
	h, root := open(t)
	folder := certs + "/" + strings.Repeat("x.io", 63) + "_1_"
	f := hostfile.File{Path: folder + "/hosts.toml", Marker: marker}
	if _, err := h.ReplaceInFolder(f, []byte(newer)); err != nil {
		t.Fatal(err)
	}
	wantTree(t, root, tree{f.Path: newer})
	if _, err := h.RemoveWithFolder(f); err != nil {
		t.Fatal(err)
	}
	wantTree(t, root, none)
}

func TestRemoveLeftovers(t *testing.T) {
	const other = certs + "/.docker.io.mirrorset-tmp"
	for name, tc := range map[string]struct{ have, want tree }{
		"without the directory":                     {tree{}, tree{}},
		"without any":                               {tree{quayFile: older}, tree{quayFile: older}},
		"of a create that was killed as it wrote":   {tree{asideTemp: "#"}, none},
		"with the whole file":                       {tree{asideFile: older}, none},
		"with nothing in them":                      {tree{aside + "/": ""}, none},
		"of many folders":                           {tree{asideFile: older, other + "/": ""}, none},
		"and what is beside one of others":          {tree{asideFile: older, other + "/x": ""}, tree{other + "/x": ""}},
		"but not a file of others":                  {tree{asideFile: "theirs"}, tree{asideFile: "theirs"}},
		"but not a folder of others":                {tree{asideFile: older, aside + "/x/": ""}, tree{asideFile: older, aside + "/x/": ""}},
		"but not what is no folder":                 {tree{aside: marker}, tree{aside: marker}},
		"but not what is not hidden":                {tree{certs + "/x.mirrorset-tmp/": ""}, tree{certs + "/x.mirrorset-tmp/": ""}},
		"but not what is hidden by others":          {tree{certs + "/.x/": ""}, tree{certs + "/.x/": ""}},
		"but not what is deeper":                    {tree{quay + "/.x.mirrorset-tmp/": ""}, tree{quay + "/.x.mirrorset-tmp/": ""}},
		"but not what is in a folder that is there": {tree{quayFile: older, quayTemp: "#"}, tree{quayFile: older, quayTemp: "#"}},
	} {
		t.Run(name, func(t *testing.T) {
			h, root := open(t)
			tc.have.put(t, root)
			if err := h.RemoveLeftovers(certs, "hosts.toml", marker); err != nil {
				t.Fatal(err)
			}
			wantTree(t, root, tc.want)
		})
	}
}

func TestLeftoversThatAreLinksStay(t *testing.T) {
	h, root := open(t)
	put(t, root, "x/hosts.toml", older)
	link(t, "../x", root, aside)
	before := describe(t, root)
	if err := h.RemoveLeftovers(certs, "hosts.toml", marker); err != nil {
		t.Error(err)
	}
	link(t, "../root/x", root, "../outside")
	if err := h.RemoveLeftovers("../outside", "hosts.toml", marker); err == nil {
		t.Error("outside: no error")
	}
	if after := describe(t, root); after != before {
		t.Errorf("got\n%swant\n%s", after, before)
	}
}

func TestModesOfAFolderDoNotDependOnTheUmask(t *testing.T) {
	h, root := open(t)
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	if _, err := h.ReplaceInFolder(hosts, []byte(newer)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{quayFile: 0o644, quay: 0o755, certs: 0o755} {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %v", name, info.Mode(), err, want)
		}
	}
}
