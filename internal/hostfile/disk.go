// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"
)

const (
	fileMode = 0o644
	dirMode  = 0o755

	privateFileMode = 0o600
	privateDirMode  = 0o700
)

// disk is a host's root directory, with the steps of a change that survives a crash.
type disk struct {
	*os.Root
}

// writeTemp writes a new file, never through a link in its place, and waits until it is on disk.
func (d disk) writeTemp(name string, content []byte, mode fs.FileMode) error {
	if err := d.removeTemp(name); err != nil {
		return err
	}
	file, err := d.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Chmod(mode) // whatever the umask
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// removeTemp removes a file, or a folder that is empty, if there is one.
func (d disk) removeTemp(name string) error {
	if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// makeDir makes the directory and its parents, and waits until each new name is on disk.
func (d disk) makeDir(dir string) error {
	if _, err := d.Stat(dir); err == nil {
		return nil
	}
	parent := path.Dir(dir)
	if parent != dir {
		if err := d.makeDir(parent); err != nil {
			return err
		}
	}
	if err := d.mkdir(dir, dirMode); err != nil {
		return err
	}
	return d.syncDir(parent)
}

// mkdir makes one directory if there is none. Its name is not on disk yet.
func (d disk) mkdir(dir string, mode fs.FileMode) error {
	err := d.Mkdir(dir, mode)
	if err == nil {
		err = d.Chmod(dir, mode) // whatever the umask
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// syncDir waits until the names in a directory are on disk.
func (d disk) syncDir(dir string) error {
	opened, err := d.OpenFile(dir, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}
