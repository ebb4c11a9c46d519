// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestAReaderNeverSeesTheFolderWithoutTheFile reads as containerd does: first the folder, then the file in it.
func TestAReaderNeverSeesTheFolderWithoutTheFile(t *testing.T) {
	h, root := open(t)
	mkdir(t, root, certs)
	seen := make(map[string]int)
	stop := repeat(func() error {
		state, err := readAsContainerd(root)
		seen[state]++
		return err
	})
	for range 200 {
		for _, content := range []string{older, newer} {
			if _, err := h.ReplaceInFolder(hosts, []byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.RemoveWithFolder(hosts); err != nil {
			t.Fatal(err)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	wantTree(t, root, none)
	if seen[""] == 0 || seen[older] == 0 || seen[newer] == 0 {
		t.Errorf("seen: %v, so this test has shown little", seen)
	}
}

// readAsContainerd returns the content of the file, or "" if containerd continues with _default. It fails if containerd contacts the source.
func readAsContainerd(root string) (content string, err error) {
	folder, err := os.Open(filepath.Join(root, quay)) // held open, so that no later folder gets its number
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	text, err := os.ReadFile(filepath.Join(root, quayFile))
	switch {
	case err == nil && string(text) != older && string(text) != newer:
		return "", errors.New("the file is not whole")
	case !errors.Is(err, fs.ErrNotExist):
		return string(text), err
	}
	was, err := folder.Stat()
	if err != nil {
		return "", err
	}
	if is, err := os.Stat(filepath.Join(root, quay)); err == nil && os.SameFile(was, is) {
		return "", errors.New("the folder is there without the file")
	}
	return "", nil // it was on its way out
}
