// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"io/fs"
	"syscall"
)

func stampOf(info fs.FileInfo) (stamp Stamp, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Stamp{}, false
	}
	return Stamp{device: stat.Dev, number: stat.Ino, mode: info.Mode(), size: stat.Size, changed: stat.Ctim.Nano()}, true
}
