// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/mirrorset/mirrorset/internal/hostfile"
)

func numbered(i int) hostfile.File {
	return hostfile.File{Path: fmt.Sprintf("%s/r%d.com/hosts.toml", certs, i), Marker: marker}
}

// Of many files, every third is new, every third is replaced and every third is already correct. The folders of two belong to another program.
func TestManyFilesAreReplacedEachByItself(t *testing.T) {
	const many = 100
	h, root := open(t)
	want := tree{certs + "/r7.com": "", certs + "/r8.com/hosts.toml": "theirs"}
	put(t, root, certs+"/r7.com", "")
	put(t, root, certs+"/r8.com/hosts.toml", "theirs")
	all := make([]*hostfile.Replacement, many)
	for i := range all {
		all[i] = &hostfile.Replacement{File: numbered(i), Content: []byte(newer)}
		if i == 7 || i == 8 {
			continue
		}
		want[all[i].File.Path] = newer
		if had := []string{"", older, newer}[i%3]; had != "" {
			put(t, root, all[i].File.Path, had)
		}
	}
	h.ReplaceInFolders(all)
	for i, r := range all {
		if isForeign := i == 7 || i == 8; isForeign != errors.Is(r.Err, hostfile.ErrForeign) || !isForeign && r.Err != nil {
			t.Errorf("file %d: error %v", i, r.Err)
		} else if want := !isForeign && i%3 != 2; r.Changed != want {
			t.Errorf("file %d: changed %t, want %t", i, r.Changed, want)
		}
	}
	wantTree(t, root, want)
}

func TestManyFilesAreRemovedEachByItself(t *testing.T) {
	const many = 100
	h, root := open(t)
	want := tree{certs + "/r8.com/hosts.toml": "theirs"}
	put(t, root, certs+"/r8.com/hosts.toml", "theirs")
	all := make([]*hostfile.Removal, many)
	for i := range all {
		all[i] = &hostfile.Removal{File: numbered(i)}
		switch {
		case i == 8 || i%3 == 0: // somebody else's, or none
		case i%3 == 1:
			put(t, root, all[i].File.Path, older)
		default:
			put(t, root, all[i].File.Path, older)
			ca := fmt.Sprintf("%s/r%d.com/ca.crt", certs, i)
			put(t, root, ca, "theirs")
			want[ca] = "theirs"
		}
	}
	h.RemoveWithFolders(all)
	for i, r := range all {
		if isForeign := i == 8; isForeign != errors.Is(r.Err, hostfile.ErrForeign) || !isForeign && r.Err != nil {
			t.Errorf("file %d: error %v", i, r.Err)
		} else if want := !isForeign && i%3 != 0; r.Changed != want {
			t.Errorf("file %d: changed %t, want %t", i, r.Changed, want)
		}
	}
	wantTree(t, root, want)
}

func TestEachNumberIsWorkedOnOnce(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1000} {
		done := make([]atomic.Int32, n)
		hostfile.Each(n, func(i int) { done[i].Add(1) })
		for i := range done {
			if times := done[i].Load(); times != 1 {
				t.Errorf("of %d, number %d was worked on %d times", n, i, times)
			}
		}
	}
}

// All messages about a folder of the host use its name on the host.
func TestASubfolderIsCalledAsTheHostCallsIt(t *testing.T) {
	h, root := open(t)
	put(t, root, quayFile, "theirs")
	at, err := h.Sub(certs)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = at.Close() }()
	_, err = at.ReplaceInFolder(hostfile.File{Path: "quay.io/hosts.toml", Marker: marker}, []byte(newer))
	if want := "/" + quayFile + ": "; !errors.Is(err, hostfile.ErrForeign) || err.Error()[:len(want)] != want {
		t.Errorf("error %v", err)
	}
	put(t, root, certs+"/file", "")
	fault, isFault := errors.AsType[*hostfile.Fault](func() error { _, err := at.Replace(hostfile.File{Path: "file/x"}, nil); return err }())
	if !isFault || fault.Path != certs+"/file" {
		t.Errorf("fault %+v", fault)
	}
}
