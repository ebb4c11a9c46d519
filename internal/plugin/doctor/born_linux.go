// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// born returns when a file was created; zero where there is none, or the file system does not keep it.
func born(files fs.FS, name string) time.Time {
	opened, err := files.Open(name)
	if err != nil {
		return time.Time{}
	}
	defer func() { _ = opened.Close() }() // it was only asked
	file, ok := opened.(*os.File)
	var stat unix.Statx_t
	if !ok || unix.Statx(int(file.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &stat) != nil || stat.Mask&unix.STATX_BTIME == 0 {
		return time.Time{}
	}
	return time.Unix(stat.Btime.Sec, int64(stat.Btime.Nsec))
}
